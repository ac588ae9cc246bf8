"""How often one message is tried when its slice fails, and what is done then.

| failed by | then |
|---|---|
| Kafka or S3 away | again, without end: it is nobody's fault |
| another claim, or a gap in the log | again; a gap that stays is left, with a dead letter |
| what nobody foresaw | again; then the task is ended; if not even that succeeds, it is left |

So a message is acknowledged in the end, whatever its task does, and other tasks of its partition
are delivered again no more than they have to be. A process that ends between two tries counts from
the start; one that dies of them is counted by the claims (`task_state.MAX_LOST_ALONE`).
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Literal

import structlog

from streamproc.errors import (
    LogUnavailableError,
    StreamprocError,
    TaskStateLostError,
    UploadsUnavailableError,
)

MAX_TRIES = 3
_MAX_ENDINGS = 5  # each provider that is left is tried by an ending
_MAX_LOST = 30

_log = structlog.get_logger()

Step = Literal["again", "end", "leave"]


class Tries:
    """Counts the failures of one message in this process."""

    def __init__(self) -> None:
        self._n_unforeseen = 0
        self._n_lost = 0

    def failed(self, exc: BaseException) -> Step:
        """Note a failure and return what to do: the slice again, `end` the task, or `leave` it."""
        if isinstance(exc, LogUnavailableError | UploadsUnavailableError):
            return "end" if self._n_unforeseen >= MAX_TRIES else "again"
        if isinstance(exc, TaskStateLostError):
            self._n_lost += 1
            return "again" if self._n_lost < _MAX_LOST else "leave"
        self._n_unforeseen += 1
        if self._n_unforeseen < MAX_TRIES:
            return "again"
        return "end" if self._n_unforeseen < MAX_TRIES + _MAX_ENDINGS else "leave"


async def until_done(
    do: Callable[[Step], Awaitable[int | None]],
    task: str,
    *,
    stopping: Callable[[], bool],
    pause_s: float = 1.0,
) -> int | None:
    """Do steps until one succeeds and return its frames; None: stopped before that.

    `do` raises `StreamprocError` alone. It returns None when the message is not its own any more.
    """
    tries = Tries()
    step: Step = "again"
    while not stopping():
        try:
            return await do(step)
        except StreamprocError as exc:
            if step != "leave":  # it fails while Kafka is away
                step = tries.failed(exc)
            _log.warning("slice failed", task=task, then=step, reason=str(exc))
            await asyncio.sleep(pause_s)
    return None
