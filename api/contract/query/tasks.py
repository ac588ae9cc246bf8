"""Fields of task lists in the query language, its meaning for a task in memory, and sort keys.

`fps` is the speed of the work: processed frames per second since the start, unknown before the
first frame. `ended` is the time since a task's end, unknown before that. `progress` is the
processed share of the expected frames, 1 for a succeeded task, unknown while their number is.
`class` is that of a track of the task. A word is looked for in id, status, source, steps, model,
provider and error.

`api.store.task_conditions` says the same in SQL; a test compares the two.
"""

from typing import Literal, get_args

import msgspec

from api.contract.query.terms import (
    WILDCARD,
    Among,
    Compare,
    Field,
    Query,
    Term,
    Vocabulary,
    Word,
    is_exact,
)
from api.contract.tasks import STATUSES, Status

STEPS = ("detect", "ocr", "feature")

TASKS = Vocabulary(
    fields=(
        Field("status", "choice", STATUSES),
        Field("step", "choice", STEPS),
        Field("source", "text"),
        Field("class", "text", is_exact=True),
        Field("id", "text"),
        Field("model", "text"),
        Field("provider", "text"),
        Field("error", "text"),
        Field("age", "duration"),
        Field("ended", "duration"),
        Field("fps", "number"),
        Field("progress", "fraction"),
        Field("frames", "number"),
    ),
    bare_field="step",
)

SortKey = Literal["created", "status", "progress", "fps", "frames", "source"]
SORT_KEYS: tuple[SortKey, ...] = get_args(SortKey)
STATUS_RANK: dict[Status, int] = {
    "cancelled": 0,
    "succeeded": 1,
    "failed": 2,
    "pending": 3,
    "cancelling": 4,
    "running": 5,
}
UNKNOWN = -1

_ASCII_LOWER = str.maketrans({chr(c): chr(c + 32) for c in range(ord("A"), ord("Z") + 1)})


class Sort(msgspec.Struct, frozen=True):
    """Order of a task list. Equal keys follow the time of creation and the id, same direction."""

    key: SortKey = "created"
    descending: bool = True

    def __str__(self) -> str:
        return f"{'-' if self.descending else ''}{self.key}"

    def reversed(self) -> "Sort":
        return Sort(self.key, not self.descending)


NEWEST_FIRST = Sort()


def parse_sort(text: str) -> Sort:
    """Parse `created`, `-fps` …; raises ValueError on other text."""
    name = text.removeprefix("-")
    for key in SORT_KEYS:
        if key == name:
            return Sort(key, descending=text != name)
    raise ValueError(f"no such key; there are, each with or without -: {', '.join(SORT_KEYS)}")


class TaskFacts(msgspec.Struct, frozen=True):
    """What a query can ask of a task. Times are Unix ms; `sources` and `models` are texts."""

    id: str
    status: Status
    created_ms: int
    started_ms: int | None = None
    finished_ms: int | None = None
    sources: tuple[str, ...] = ()
    source_name: str = ""
    steps: tuple[str, ...] = ()
    models: tuple[str, ...] = ()
    provider: str = ""
    error_code: str = ""
    error_message: str = ""
    processed_frames: int = 0
    expected_frames: int | None = None
    classes: frozenset[str] = frozenset()

    def fps(self, now_ms: int) -> float | None:
        """Return the processed frames per second of work; None before the first frame."""
        if self.started_ms is None or not self.processed_frames:
            return None
        end_ms = now_ms if self.finished_ms is None else self.finished_ms
        return self.processed_frames * 1000 / max(1, end_ms - self.started_ms)

    @property
    def progress(self) -> float | None:
        """Return the processed share of the expected frames, 0 to 1; None if it is unknown."""
        if self.status == "succeeded":
            return 1.0
        if not self.expected_frames:
            return None
        return min(1.0, self.processed_frames / self.expected_frames)


def matches(query: Query, task: TaskFacts, now_ms: int) -> bool:
    """Return whether all terms match the task."""
    return all(_holds(term, task, now_ms) for term in query.terms)


def sort_value(task: TaskFacts, key: SortKey, now_ms: int) -> int | str:
    """Return the value by which a list is sorted: whole numbers, or text (ASCII lower-case)."""
    match key:
        case "created":
            return task.created_ms
        case "status":
            return STATUS_RANK[task.status]
        case "frames":
            return task.processed_frames
        case "source":
            return task.source_name.translate(_ASCII_LOWER)
        case "fps":
            fps = task.fps(now_ms)
            return UNKNOWN if fps is None else int(fps * 1000)
        case "progress":
            progress = task.progress
            return UNKNOWN if progress is None else int(progress * 1_000_000)


def text_matches(value: str, text: str, *, is_exact: bool = False) -> bool:
    """Return whether a query's value matches the text: see `Field`."""
    value, text = value.lower(), text.lower()
    if WILDCARD not in value:
        return value == text if is_exact else value in text
    first, *middle, last = value.split(WILDCARD)
    if len(text) < len(first) + len(last) or not text.startswith(first):
        return False
    if not text.endswith(last):
        return False
    at, end = len(first), len(text) - len(last)
    for part in middle:
        at = text.find(part, at, end)
        if at < 0:
            return False
        at += len(part)
    return True


def _holds(term: Term, task: TaskFacts, now_ms: int) -> bool:
    match term:
        case Word(text, negated):
            found = any(text.lower() in one.lower() for one in _all_texts(task))
        case Among(field, values, negated):
            found = any(
                text_matches(value, text, is_exact=is_exact(TASKS, field))
                for value in values
                for text in _texts(task, field)
                if text
            )
        case Compare(field, op, number, negated):
            found = _compares(_number(task, field, now_ms), op, number)
        case _:
            raise TypeError(f"no term of a task list: {term}")
    return found != negated


def _texts(task: TaskFacts, field: str) -> tuple[str, ...] | frozenset[str]:
    texts: dict[str, tuple[str, ...] | frozenset[str]] = {
        "status": (task.status,),
        "step": task.steps,
        "source": task.sources,
        "class": task.classes,
        "id": (task.id,),
        "model": task.models,
        "provider": (task.provider,),
        "error": (task.error_code, task.error_message),
    }
    return texts[field]


def _all_texts(task: TaskFacts) -> tuple[str, ...]:
    return (
        task.id,
        task.status,
        *task.sources,
        *task.steps,
        *task.models,
        task.provider,
        task.error_code,
        task.error_message,
    )


def _number(task: TaskFacts, field: str, now_ms: int) -> float | None:
    match field:
        case "age":
            return (now_ms - task.created_ms) / 1000
        case "ended":
            return None if task.finished_ms is None else (now_ms - task.finished_ms) / 1000
        case "fps":
            return task.fps(now_ms)
        case "progress":
            return task.progress
        case _:
            return task.processed_frames


def _compares(value: float | None, op: str, number: float) -> bool:
    if value is None:
        return False
    match op:
        case "<":
            return value < number
        case "<=":
            return value <= number
        case ">":
            return value > number
        case _:
            return value >= number
