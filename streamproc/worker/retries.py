"""Retry policy for one message whose slice fails.

| failed by | then |
|---|---|
| Kafka or S3 unavailable | retry without limit: the task is not the cause |
| another claim, or a gap in the log | retry; on a permanent gap leave it, with a dead letter |
| an unexpected error | retry; then end the task; if even that fails, leave it |

So every message is acknowledged in the end, whatever its task does, and other tasks of its
partition are not redelivered more than necessary. A process that stops between two tries loses the
count. Crashes that the tries cause are counted by the claims (`task_state.MAX_LOST_ALONE`).
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
_MAX_ENDINGS = 5  # each ending may try one more provider
_MAX_LOST = 30

_log = structlog.get_logger()

Step = Literal["again", "end", "leave"]


class Tries:
    """Counts the failures of one message in this process."""

    def __init__(self) -> None:
        self._n_unforeseen = 0
        self._n_lost = 0

    def failed(self, exc: BaseException) -> Step:
        """Count a failure; return the next step: slice `again`, `end` the task, or `leave` it."""
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
    """Do steps until one succeeds and return its number of frames; None: stopped before that.

    `do` raises only `StreamprocError`. It returns None if the worker no longer owns the message.
    """
    tries = Tries()
    step: Step = "again"
    while not stopping():
        try:
            return await do(step)
        except StreamprocError as exc:
            if step != "leave":  # it fails while Kafka is unavailable
                step = tries.failed(exc)
            _log.warning("slice failed", task=task, then=step, reason=str(exc))
            await asyncio.sleep(pause_s)
    return None
