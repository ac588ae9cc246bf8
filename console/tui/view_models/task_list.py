"""View model of the Tasks tab: a task with its derived values, and the filter. No I/O, no UI."""

from collections.abc import Mapping
from datetime import datetime
from typing import Literal

import msgspec
from msgspec import UNSET

from api.contract.query.tasks import Sort
from api.contract.tasks import Status, TaskResource
from streamproc.contract.source_label import short_name

SortKey = Literal["age", "status", "progress", "fps", "source"]
SORT_KEYS: tuple[SortKey, ...] = ("age", "status", "progress", "fps", "source")
WINDOWS: Mapping[str, int | None] = {"any time": None, "1 h": 3600, "24 h": 86400, "7 d": 604800}
ACTIVE: frozenset[Status] = frozenset({"pending", "running", "cancelling"})
_SORTS: Mapping[SortKey, Sort] = {
    "age": Sort("created", descending=True),
    "status": Sort("status", descending=True),
    "progress": Sort("progress", descending=True),
    "fps": Sort("fps", descending=True),
    "source": Sort("source", descending=False),
}


class TaskFilter(msgspec.Struct, frozen=True):
    """Task filter, applied by the api. `text` is a query (`api.contract.query`)."""

    statuses: frozenset[Status] = frozenset()
    window: str = "any time"
    text: str = ""

    def created_from(self, now: datetime) -> str | None:
        """Return the api's `from` in Unix milliseconds; None for any time."""
        length_s = WINDOWS[self.window]
        return None if length_s is None else str(int((now.timestamp() - length_s) * 1000))

    @property
    def is_open(self) -> bool:
        return not self.statuses and self.window == "any time" and not self.text


class TaskView(msgspec.Struct, frozen=True):
    """A task, and values derived from it."""

    task: TaskResource

    @property
    def source(self) -> str:
        """The video's file name, or `upload`."""
        return short_name(self.task.source)

    @property
    def expected_frames(self) -> int | None:
        """The estimated number of frames to process; None if it is unknown."""
        expected = self.task.progress.expected_frames
        return None if expected is UNSET else expected

    @property
    def fraction(self) -> float | None:
        """Return the processed fraction in 0..1; None if the number of frames is unknown."""
        if self.task.status == "succeeded":
            return 1.0
        if not self.expected_frames:
            return None
        return min(1.0, self.task.progress.processed_frames / self.expected_frames)

    def rate_fps(self, now: datetime) -> float | None:
        """Return the processed frames per second since the task's start; None before that."""
        started = parse_time(self.task.started_at)
        if started is None or not self.task.progress.processed_frames:
            return None
        ended = parse_time(self.task.finished_at) or now
        length_s = (ended - started).total_seconds()
        return self.task.progress.processed_frames / length_s if length_s > 0 else None

    def eta_s(self, now: datetime) -> float | None:
        """Return the estimated remaining seconds at the rate so far; None if unknown."""
        rate = self.rate_fps(now)
        if self.task.status != "running" or not rate or not self.expected_frames:
            return None
        return max(0, self.expected_frames - self.task.progress.processed_frames) / rate


def api_sort(key: SortKey, *, is_reversed: bool) -> Sort:
    """Return the api's order for a column: what an operator looks for comes first."""
    sort = _SORTS[key]
    return sort.reversed() if is_reversed else sort


def parse_time(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)
