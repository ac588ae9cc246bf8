"""Rendering of tasks, as table rows and as a page of details. Pure functions."""

import json
import re
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Any

from msgspec import UNSET

from api.contract.tasks import Progress
from console.tui.drawing.formatting import (
    STATUS_MARKS,
    bar,
    duration,
    grouped,
    live_text,
    rate,
    short_id,
)
from console.tui.drawing.styled_text import Line, folded
from console.tui.drawing.table_layout import Column, Row
from console.tui.view_models.task_list import TaskView, parse_time
from console.tui.view_models.task_pages import GAP

STATUS_TONES = {
    "pending": "dim",
    "running": "info",
    "cancelling": "warn",
    "succeeded": "good",
    "failed": "bad",
    "cancelled": "dim",
}
COLUMNS = (
    Column("status", "STATUS", 11),
    Column("progress", "PROGRESS", 19),
    Column("fps", "FPS", 5, right=True, rank=2),
    Column("eta", "ETA", 6, right=True, rank=2),
    Column("age", "AGE", 6, right=True),
    Column("source", "SOURCE", 18, flex=3),
    Column("steps", "STEPS", 16, flex=2, rank=3),
    Column("tracks", "TRACKS", 6, right=True, rank=4),
    Column("provider", "PROVIDER", 9, rank=6),
    Column("task", "TASK", 7, rank=5),
)
BRIEF_COLUMNS = (
    Column("status", "STATUS", 12),
    Column("progress", "PROGRESS", 15),
    Column("age", "AGE", 6, right=True, rank=1),
    Column("source", "SOURCE", 16, flex=1),
    Column("task", "TASK", 7),
)
_BAR_CELLS = 9
_KEY_CELLS = 14  # approximate width of a key before its value
_TOKEN = re.compile(
    r'(?P<key>"(?:[^"\\]|\\.)*")(?=\s*:)|(?P<text>"(?:[^"\\]|\\.)*")|(?P<number>-?\d[\d.eE+-]*)'
    r"|(?P<word>true|false|null)|(?P<mark>[{}\[\],:]+)|(?P<space>\s+)"
)
_TOKEN_TONES = {"key": "info", "text": "good", "number": "accent", "word": "accent", "mark": "dim"}


def task_row(view: TaskView, now: datetime, *, is_marked: bool = False) -> Row:
    """Return the task's row, in the order of `COLUMNS`."""
    task = view.task
    tone = STATUS_TONES[task.status]
    created = parse_time(task.created_at) or now
    unknown: Line = (("·", "faint"),)
    fps = view.rate_fps(now)
    eta = view.eta_s(now)
    return Row(
        task.id,
        (
            ((f"{STATUS_MARKS[task.status]} ", f"{tone}!"), (task.status, tone)),
            progress_line(view),
            ((rate(fps), ""),) if fps is not None else unknown,
            ((duration(eta), ""),) if eta is not None else unknown,
            ((duration((now - created).total_seconds()), "dim"),),
            ((view.source, ""),) if view.source else unknown,
            _steps(task.steps) if task.steps else unknown,
            unknown if task.tracks is UNSET else ((grouped(task.tracks), ""),),
            ((task.provider, "dim"),) if task.provider else unknown,
            ((short_id(task.id), "dim"),),
        ),
        is_marked,
    )


def brief_row(view: TaskView, now: datetime) -> Row:
    """Return the task's row, in the order of `BRIEF_COLUMNS`."""
    cells = dict(zip((column.key for column in COLUMNS), task_row(view, now).cells, strict=True))
    return Row(view.task.id, tuple(cells[column.key] for column in BRIEF_COLUMNS))


def gap_row(n_missing: int | None) -> Row:
    """Return the row that stands for tasks which are not loaded."""
    many = "" if n_missing is None else f"{grouped(n_missing)} "
    texts = {"status": "…", "source": f"{many}not read yet"}
    return Row(GAP, tuple(((texts.get(column.key, ""), "faint"),) for column in COLUMNS))


def progress_line(view: TaskView, cells: int = _BAR_CELLS) -> Line:
    """Return a progress bar with a percentage; for an unknown length, the number of frames.

    A failed task shows its error code instead.
    """
    task = view.task
    fraction = view.fraction
    n_frames = task.progress.processed_frames
    if task.status == "failed" and task.error is not None:
        return ((task.error.code, "bad"),)
    if fraction is None:
        return ((f"{grouped(n_frames)} frames", "dim"),) if n_frames else (("·", "faint"),)
    done, rest = bar(fraction, cells)
    tone = STATUS_TONES[task.status]
    percent = f" {fraction:4.0%}" if task.status != "succeeded" else f" {grouped(n_frames):>3} f"
    return ((done, tone), (rest, "faint"), (percent, "dim"))


def details_lines(
    view: TaskView, request: dict[str, Any] | None, now: datetime, width: int
) -> list[Line]:
    """Return all known details of a task as lines."""
    task = view.task
    tone = STATUS_TONES[task.status]
    lines: list[Line] = [
        ((f"{STATUS_MARKS[task.status]} {task.status}", f"{tone}!"),),
        ((task.id, "dim"),),
        (),
    ]
    lines += [_fact(name, value) for name, value in _facts(view, now) if value]
    if task.error is not None:
        lines += [(), _heading("Error"), ((task.error.code, "bad!"),)]
        lines += [((part, "bad"),) for part in _wrapped(task.error.message, width)]
    if task.attempts:
        lines += [(), _heading("Attempts")]
        for attempt in task.attempts:
            lines.append(((attempt.provider, "!"), ("  ", ""), (attempt.code, "warn")))
            lines += [((f"  {part}", "dim"),) for part in _wrapped(attempt.message, width - 2)]
    lines += [(), _heading("Request")]
    if request is None:
        lines.append((("being read …", "dim"),))
    else:
        lines += json_lines(request, max(20, width))
    return lines


def json_lines(value: Any, width: int) -> list[Line]:
    """Return the value as coloured JSON in `width` cells; values that fit are on one line."""
    return [
        part
        for line in _json_text(value, width).split("\n")
        for part in folded(_coloured(line), width, len(line) - len(line.lstrip()) + 2)
    ]


def _facts(view: TaskView, now: datetime) -> Iterator[tuple[str, str | None]]:
    task = view.task
    progress = task.progress
    yield "source", view.source
    yield "live", live_text(task)
    yield "created", _local(task.created_at)
    started, finished = parse_time(task.started_at), parse_time(task.finished_at)
    created = parse_time(task.created_at)
    if started is not None and created is not None:
        yield "waited", duration((started - created).total_seconds())
    if started is not None:
        yield (
            "took" if finished else "running",
            duration(((finished or now) - started).total_seconds()),
        )
    total = view.expected_frames
    of = f" of {_about(progress)}{grouped(total)}" if total and task.status != "succeeded" else ""
    yield "frames", f"{grouped(progress.processed_frames)}{of}"
    yield "tracks", None if task.tracks is UNSET else grouped(task.tracks)
    eta = view.eta_s(now)
    yield "left", duration(eta) if eta is not None else None
    speed = view.rate_fps(now)
    yield "speed", f"{rate(speed)} frames/s" if speed else None
    yield "video", _video(progress)
    yield "provider", task.provider
    yield "model", task.model


def _video(progress: Progress) -> str | None:
    total, fps = progress.total_frames, progress.fps
    if not fps:
        return None
    frames = f"{_about(progress)}{grouped(total)} frames, " if total else ""
    return f"{frames}{fps:g} fps"


def _about(progress: Progress) -> str:
    return "about " if progress.total_frames_is_estimate is True else ""


def _local(text: str) -> str:
    at = parse_time(text)
    return "" if at is None else at.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def _heading(text: str) -> Line:
    return ((text, "accent!"),)


def _fact(name: str, value: str | None) -> Line:
    return ((f"{name:<9} ", "dim"), (value or "", ""))


def _steps(steps: Sequence[str]) -> Line:
    spans: list[tuple[str, str]] = []
    for i, step in enumerate(steps):
        if i:
            spans.append((" → ", "faint"))
        spans.append((step, ""))
    return tuple(spans)


def _wrapped(text: str, width: int) -> list[str]:
    lines: list[str] = []
    for word in text.split():
        if lines and len(lines[-1]) + 1 + len(word) <= max(10, width):
            lines[-1] += f" {word}"
        else:
            lines.append(word)
    return lines


def _json_text(value: Any, width: int, indent: str = "") -> str:
    flat = json.dumps(value, ensure_ascii=False)
    room = width - len(indent) - _KEY_CELLS
    if len(flat) <= room or not isinstance(value, dict | list) or not value:
        return flat
    inner = f"{indent}  "
    if isinstance(value, dict):
        parts = [
            f"{inner}{json.dumps(k, ensure_ascii=False)}: {_json_text(v, width, inner)}"
            for k, v in value.items()
        ]
        return "{\n" + ",\n".join(parts) + f"\n{indent}}}"
    parts = [f"{inner}{_json_text(v, width, inner)}" for v in value]
    return "[\n" + ",\n".join(parts) + f"\n{indent}]"


def _coloured(line: str) -> Iterator[tuple[str, str]]:
    for match in _TOKEN.finditer(line):
        yield match.group(), _TOKEN_TONES.get(match.lastgroup or "", "")
