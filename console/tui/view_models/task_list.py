"""View model of the Tasks tab: merges, filters and sorts pages of tasks. No I/O, no UI."""

from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from typing import Any, Literal
from urllib.parse import unquote, urlsplit

import msgspec

from api.contract.resources import Status, TaskPage, TaskResource

SortKey = Literal["age", "status", "progress", "fps", "source"]
SORT_KEYS: tuple[SortKey, ...] = ("age", "status", "progress", "fps", "source")
WINDOWS: Mapping[str, int | None] = {"any time": None, "1 h": 3600, "24 h": 86400, "7 d": 604800}
ACTIVE: frozenset[Status] = frozenset({"pending", "running", "cancelling"})
_RANK = {"running": 0, "cancelling": 1, "pending": 2, "failed": 3, "succeeded": 4, "cancelled": 5}
_EARLIEST = datetime(1970, 1, 1, tzinfo=UTC)


class TaskFilter(msgspec.Struct, frozen=True):
    """Task filter. The api applies `statuses` and `window`; `text` filters the loaded tasks."""

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
    """One row: a task, and values from its request once that was read."""

    task: TaskResource
    source: str | None = None
    steps: str | None = None
    expected_frames: int | None = None

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


class TaskList:
    """All loaded tasks; `cursor` is that of the next older page."""

    def __init__(self) -> None:
        self._tasks: dict[str, TaskResource] = {}
        self._requests: dict[str, dict[str, Any]] = {}
        self.cursor: str | None = None
        self.loaded = False

    def __len__(self) -> int:
        return len(self._tasks)

    def clear(self) -> None:
        """Remove the rows. Requests are kept, because they never change."""
        self._tasks.clear()
        self.cursor = None
        self.loaded = False

    def refresh(self, page: TaskPage) -> None:
        """Merge a new first page; remove rows of its time range that it does not contain."""
        if not self.loaded:
            self.cursor = page.next_cursor
        self.loaded = True
        fresh = {task.id for task in page.data}
        oldest = page.data[-1].created_at if page.data and page.next_cursor else ""
        for task_id, task in list(self._tasks.items()):
            if task_id not in fresh and task.created_at > oldest:
                del self._tasks[task_id]
        self._merge(page.data)

    def extend(self, page: TaskPage) -> None:
        """Add the page after `cursor`."""
        self.cursor = page.next_cursor
        self._merge(page.data)

    def update(self, task: TaskResource) -> None:
        """Update a listed task; keep its request if it has one. Other tasks are not added."""
        if isinstance(task.request, dict):
            self._requests[task.id] = task.request
        if task.id in self._tasks:
            self._merge([task])

    def knows_request(self, task_id: str) -> bool:
        return task_id in self._requests

    def request(self, task_id: str) -> dict[str, Any] | None:
        return self._requests.get(task_id)

    def task(self, task_id: str) -> TaskResource | None:
        return self._tasks.get(task_id)

    def view(self, task: TaskResource) -> TaskView:
        request = self._requests.get(task.id)
        if request is None:
            return TaskView(task)
        return TaskView(
            task, source_name(request), steps_line(request), expected_frames(request, task)
        )

    def rows(
        self, text: str, key: SortKey, now: datetime, *, descending: bool = False
    ) -> list[TaskView]:
        """Return the rows that contain all words of `text`, sorted by `key`, then newest first."""
        views = [self.view(task) for task in self._tasks.values()]
        words = text.lower().split()
        if words:
            views = [view for view in views if _matches(view, words)]
        views.sort(key=lambda view: view.task.created_at, reverse=True)
        if key != "age" or descending:
            views.sort(key=_sorter(key, now), reverse=descending)
        return views

    def _merge(self, tasks: Iterable[TaskResource]) -> None:
        for task in tasks:
            self._tasks[task.id] = task


def source_name(request: Mapping[str, Any]) -> str:
    """Return a short name of the request's video: its file name, or `upload`."""
    item = _input(request)
    if item.get("type") == "video_base64":
        return "upload"
    url = str(item.get("url", ""))
    try:
        parts = urlsplit(url)
    except ValueError:
        return url
    name = unquote(parts.path.rstrip("/").rpartition("/")[2])
    return name or parts.netloc or url


def steps_line(request: Mapping[str, Any]) -> str:
    """Return the steps as `detect → ocr → feature`."""
    steps = request.get("steps")
    models = [str(step.get("model", "?")) for step in steps or () if isinstance(step, dict)]
    return " → ".join(models)


def expected_frames(request: Mapping[str, Any], task: TaskResource) -> int | None:
    """Estimate the number of frames to process; None for keyframes and unknown lengths."""
    item = _input(request)
    total, fps = task.progress.total_frames, task.progress.fps
    sampling = item.get("sampling") or {"mode": "fps", "value": 1}
    bounds = item.get("range") or {}
    most = int(item.get("max_frames") or 3000)
    if not total or sampling.get("mode") == "keyframe":
        return None
    scale = 1.0 if bounds.get("unit") == "frames" else float(fps or 0)
    start = min(total, float(bounds.get("start") or 0) * scale)
    end = min(total, float(bounds["end"]) * scale) if bounds.get("end") else float(total)
    n_frames = max(0.0, end - start)
    value = float(sampling.get("value") or 1)
    if sampling.get("mode") == "interval":
        n_frames = -(-n_frames // value)
    elif fps:
        n_frames = min(n_frames, n_frames * value / fps)
    return min(most, max(1, round(n_frames)))


def parse_time(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)


def _input(request: Mapping[str, Any]) -> Mapping[str, Any]:
    items = request.get("input")
    return items[0] if isinstance(items, list) and items and isinstance(items[0], dict) else {}


def _matches(view: TaskView, words: Iterable[str]) -> bool:
    task = view.task
    error = f"{task.error.code} {task.error.message}" if task.error else ""
    parts = (task.id, task.status, task.model, task.provider, view.source, view.steps, error)
    line = " ".join(part.lower() for part in parts if part)
    return all(word in line for word in words)


def _sorter(key: SortKey, now: datetime) -> Callable[[TaskView], Any]:
    match key:
        case "status":
            return lambda view: _RANK[view.task.status]
        case "progress":
            return lambda view: -(view.fraction or 0.0)
        case "fps":
            return lambda view: -(view.rate_fps(now) or 0.0)
        case "source":
            return lambda view: (view.source is None, (view.source or "").lower())
        case "age":
            # Ascending age is newest first.
            return lambda view: -(parse_time(view.task.created_at) or _EARLIEST).timestamp()
