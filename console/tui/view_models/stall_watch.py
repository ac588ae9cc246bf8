"""Running tasks that make no progress, of all that are listed as running. Pure.

The list comes from the index, which may be late. A task whose frames stand still there is a
suspect; it is stalled only if its own state, which comes from its log, stands still as well.
Of many tasks a reading has a part (`running_sweep`): between two readings of a task nothing is
known of it.
"""

from datetime import datetime
from math import ceil
from typing import NamedTuple

import msgspec

from api.contract.tasks import TaskResource
from console.tui.view_models.running_sweep import RunningRead

MAX_CHECKED = 8
"""Suspects whose own state is read after one reading of the list."""
_STALL_S = 20.0
_MAX_USUAL_S = 300.0
_SLICE_S = 3.0
_FACTOR = 3.0
_CHECK_AGAIN_S = 10.0


class Stalled(NamedTuple):
    task: TaskResource
    idle_s: float


class _Seen(msgspec.Struct):
    """A running task: its frames, since when it has them, and how long that may last.

    `read_s` is when it was listed last, `checked_s` when its own state was read and had no more
    frames.
    """

    task: TaskResource
    frames: int
    moved_s: float
    usual_s: float
    read_s: float
    checked_s: float | None = None

    @property
    def idle_s(self) -> float:
        """How long its frames are known to be the same."""
        return max(self.read_s, self.checked_s or 0.0) - self.moved_s


class StallWatch:
    """The running tasks of one api."""

    def __init__(self) -> None:
        self._seen: dict[str, _Seen] = {}
        self._turn_s = 0.0
        """How long a task waits for its next slice if all running ones take turns."""

    def take(self, running: RunningRead, slots: int, now: datetime, at_s: float) -> tuple[str, ...]:
        """Take running tasks as listed; return the ids whose own state is to be read.

        `slots` are those of living workers, `at_s` is the monotonic time.
        """
        self._turn_s = _SLICE_S * ceil(running.n_running / slots) if slots else 0.0
        for task_id in running.gone:
            self._seen.pop(task_id, None)
        for task in running.tasks:
            self._see(task, now, at_s)
        suspects = [one for one in self._seen.values() if self._is_idle(one)]
        due = [
            one for one in suspects if at_s - (one.checked_s or -_CHECK_AGAIN_S) >= _CHECK_AGAIN_S
        ]
        due.sort(key=lambda one: (one.checked_s or 0.0, one.moved_s))
        return tuple(one.task.id for one in due[:MAX_CHECKED])

    def take_own(self, task: TaskResource, now: datetime, at_s: float) -> None:
        """Take a suspect's own state."""
        known = self._seen.get(task.id)
        if known is None:
            return
        if task.status != "running":
            del self._seen[task.id]
        elif task.progress.processed_frames > known.frames:
            self._see(task, now, at_s)
        else:
            known.checked_s = at_s

    def stalled(self) -> list[Stalled]:
        """Return the tasks that stand still by their own state, the longest first."""
        found = [
            one for one in self._seen.values() if one.checked_s is not None and self._is_idle(one)
        ]
        # not by `idle_s`: of many tasks those that were read just now would be others each time
        return [Stalled(one.task, one.idle_s) for one in sorted(found, key=lambda one: one.moved_s)]

    def n_suspects(self) -> int:
        """Return how many tasks stand still in the list, and their own state was not read yet."""
        return sum(one.checked_s is None and self._is_idle(one) for one in self._seen.values())

    def _see(self, task: TaskResource, now: datetime, at_s: float) -> None:
        known, frames = self._seen.get(task.id), task.progress.processed_frames
        if known is None or frames > known.frames:
            self._seen[task.id] = _Seen(task, frames, at_s, _usual_s(task, now), at_s)
        else:
            known.task, known.read_s = task, at_s

    def _is_idle(self, one: _Seen) -> bool:
        limit_s = max(_STALL_S, _FACTOR * self._turn_s, min(_MAX_USUAL_S, _FACTOR * one.usual_s))
        return one.idle_s >= limit_s


def _usual_s(task: TaskResource, now: datetime) -> float:
    """Return the mean time between two frames so far; 0 while it is unknown."""
    if task.started_at is None or not task.progress.processed_frames:
        return 0.0
    passed_s = (now - datetime.fromisoformat(task.started_at)).total_seconds()
    return max(0.0, passed_s) / task.progress.processed_frames
