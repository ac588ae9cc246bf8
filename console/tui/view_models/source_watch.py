"""Live sources that give no frames, of all running tasks: lost, or silent. Pure.

A source is silent if its worker says that it is live, and the time of its last frame stays the
same. That is measured by this machine's clock, which the worker's need not agree with, and only
known up to the last reading of the task: of many tasks a reading has a part (`running_sweep`).
"""

from datetime import datetime
from typing import NamedTuple

import msgspec

from api.contract.tasks import LiveSource, TaskResource
from console.tui.view_models.running_sweep import RunningRead

_SILENT_S = 10.0
_FACTOR = 2.0
"""A source that has a frame every so often is silent after this multiple of that time."""
_MAX_USUAL_S = 300.0


class Blind(NamedTuple):
    """A source without frames; `is_lost`: its worker says so. `away_s`: since when."""

    task: TaskResource
    source: LiveSource
    is_lost: bool
    away_s: float


class _Seen(msgspec.Struct):
    """A live source, and since when its last frame, or its loss, is the same; `read_s`: until now.

    `usual_s` is the time between two of its frames.
    """

    task: TaskResource
    source: LiveSource
    since_s: float
    read_s: float
    usual_s: float = 0.0


class SourceWatch:
    """The live sources of one api."""

    def __init__(self) -> None:
        self._seen: dict[str, _Seen] = {}

    def take(self, running: RunningRead, at_s: float) -> None:
        """Take running tasks as listed at a monotonic time."""
        for task_id in running.gone:
            self._seen.pop(task_id, None)
        for task in running.tasks:
            before = self._seen.pop(task.id, None)
            if isinstance(task.live, LiveSource):
                self._seen[task.id] = _seen(before, task, task.live, at_s)

    def blind(self, at_s: float) -> list[Blind]:
        """Return the sources without frames, the longest first."""
        found = [
            Blind(one.task, one.source, one.source.state == "lost", at_s - one.since_s)
            for one in self._seen.values()
            if one.source.state == "lost" or _is_silent(one)
        ]
        return sorted(found, key=lambda one: -one.away_s)


def _seen(before: _Seen | None, task: TaskResource, source: LiveSource, at_s: float) -> _Seen:
    if before is None:
        return _Seen(task, source, at_s, at_s)
    usual_s = before.usual_s
    if source.state != before.source.state:
        return _Seen(task, source, at_s, at_s, usual_s)
    if source.last_frame_at == before.source.last_frame_at:
        return _Seen(task, source, before.since_s, at_s, usual_s)
    n_frames = task.progress.processed_frames - before.task.progress.processed_frames
    passed_s = _between(before.source.last_frame_at, source.last_frame_at)
    return _Seen(task, source, at_s, at_s, passed_s / max(1, n_frames))


def _is_silent(one: _Seen) -> bool:
    usual_s = max(one.usual_s, one.source.keyframe_interval_s or 0.0)
    limit_s = max(_SILENT_S, _FACTOR * min(usual_s, _MAX_USUAL_S))
    return one.source.state == "live" and one.read_s - one.since_s >= limit_s


def _between(first: str | None, second: str | None) -> float:
    if first is None or second is None:
        return 0.0
    passed = datetime.fromisoformat(second) - datetime.fromisoformat(first)
    return max(0.0, passed.total_seconds())
