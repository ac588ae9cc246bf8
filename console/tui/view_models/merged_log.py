"""View model of the events of several tasks in one list, by time. No I/O, no UI.

An event's time is that of its frame's capture, by a live source, else that of its chunk. `[DONE]`
has the time of the event before it.
"""

import heapq
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from console.tui.view_models.log_line import LogLine


class TaskLog(NamedTuple):
    """The last events of a task, `n_lost` of which are not kept any more; `number` is its pane."""

    task_id: str
    number: int
    started_ms: int
    lines: Sequence[LogLine]
    n_lost: int


class MergedEvent(NamedTuple):
    """One event; `at_ms` is in Unix milliseconds."""

    at_ms: int
    number: int
    task_id: str
    line: LogLine

    @property
    def key(self) -> str:
        return f"{self.task_id}:{self.line.start}"


def merge(logs: Iterable[TaskLog]) -> list[MergedEvent]:
    """Return the events of all logs by time, those of one log in its order."""
    return list(heapq.merge(*map(_events, logs), key=lambda event: event.at_ms))


def complete_from_ms(logs: Iterable[TaskLog]) -> int | None:
    """Return the time from which on no event is missing; None if all are there."""
    firsts = [next(_events(log)).at_ms for log in logs if log.n_lost and log.lines]
    return max(firsts, default=None)


def _events(log: TaskLog) -> Iterator[MergedEvent]:
    at_ms = log.started_ms
    for line in log.lines:
        if line.is_wall and line.time_ms is not None:
            at_ms = max(at_ms, line.time_ms)
        elif line.frame is not None:
            at_ms = max(at_ms, log.started_ms + line.elapsed_ms)
        yield MergedEvent(at_ms, log.number, log.task_id, line)
