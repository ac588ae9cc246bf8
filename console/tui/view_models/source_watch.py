"""Live sources that give no frames, of all running tasks: lost, or silent. Pure.

A source is silent if its worker says that it is live, and the time of its last frame stays the
same. That is measured by this machine's clock, which the worker's need not agree with.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

import msgspec

from api.contract.resources import LiveSource, TaskResource
from console.tui.view_models.stall_watch import MAX_TASKS

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
    """A live source, and since when its last frame, or its loss, is the same."""

    task: TaskResource
    source: LiveSource
    since_s: float
    usual_s: float = 0.0


class SourceWatch:
    """The live sources of one api."""

    def __init__(self) -> None:
        self._seen: dict[str, _Seen] = {}

    def take(self, running: Sequence[TaskResource], at_s: float) -> None:
        """Take the running tasks as listed at a monotonic time."""
        before, self._seen = self._seen, {}
        for task in running[:MAX_TASKS]:
            source = task.live
            if isinstance(source, LiveSource):
                self._seen[task.id] = _seen(before.get(task.id), task, source, at_s)

    def blind(self, at_s: float) -> list[Blind]:
        """Return the sources without frames, the longest first."""
        found = [
            Blind(one.task, one.source, one.source.state == "lost", at_s - one.since_s)
            for one in self._seen.values()
            if one.source.state == "lost" or _is_silent(one, at_s)
        ]
        return sorted(found, key=lambda one: -one.away_s)


def _seen(before: _Seen | None, task: TaskResource, source: LiveSource, at_s: float) -> _Seen:
    if before is None:
        return _Seen(task, source, at_s)
    usual_s = before.usual_s
    if source.state != before.source.state:
        return _Seen(task, source, at_s, usual_s)
    if source.last_frame_at == before.source.last_frame_at:
        return _Seen(task, source, before.since_s, usual_s)
    return _Seen(task, source, at_s, _between(before.source.last_frame_at, source.last_frame_at))


def _is_silent(one: _Seen, at_s: float) -> bool:
    usual_s = max(one.usual_s, one.source.keyframe_interval_s or 0.0)
    limit_s = max(_SILENT_S, _FACTOR * min(usual_s, _MAX_USUAL_S))
    return one.source.state == "live" and at_s - one.since_s >= limit_s


def _between(first: str | None, second: str | None) -> float:
    if first is None or second is None:
        return 0.0
    passed = datetime.fromisoformat(second) - datetime.fromisoformat(first)
    return max(0.0, passed.total_seconds())
