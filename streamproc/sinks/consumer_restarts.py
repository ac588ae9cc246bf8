"""Restarts a consumer role in the same process after a stall or a failure."""

import threading
import time
from collections.abc import Callable
from typing import Protocol

from structlog.typing import FilteringBoundLogger

from streamproc.consumer_watchdog import ConsumerWatch, Watched

MAX_FAILURES = 3
_PAUSE_S = 1.0
_GOOD_S = 60.0


class Role(Watched, Protocol):
    """One run of a role: `run` returns when `stop` or its own `renew` is set."""

    def run(self, stop: threading.Event) -> None: ...


def run_with_restarts(
    new_role: Callable[[], Role],
    stop: threading.Event,
    watch: ConsumerWatch,
    log: FilteringBoundLogger,
) -> None:
    """Run roles one after another until `stop`: a new one replaces one that stalled or failed.

    The third unexpected failure, each within a minute of its start, is raised: the supervisor sees
    the process exit.
    """
    n_failures = 0
    with watch:
        while not stop.is_set():
            started_s = time.monotonic()
            role = new_role()
            watch.look_at(role)
            try:
                role.run(stop)
            except Exception:
                if time.monotonic() - started_s > _GOOD_S:
                    n_failures = 0
                n_failures += 1
                if n_failures == MAX_FAILURES:
                    raise
                log.exception("unexpected failure: restarting the role")
                stop.wait(_PAUSE_S)
            finally:
                watch.look_at(None)
