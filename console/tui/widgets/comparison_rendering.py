"""Rendering of a comparison: its head, and a row for each difference. Pure functions."""

from collections.abc import Sequence

from console.comparison.report import KINDS, Compared, Comparison, Difference, Kind
from console.comparison.requests import value_text
from console.tui.drawing.formatting import grouped, media_time, short_id
from console.tui.drawing.styled_text import Line, length
from console.tui.drawing.table_layout import Column, Row
from console.tui.view_models.comparison_choices import Choice

CHOICE_COLUMNS = (Column("word", "WITH", 30), Column("what", "WHAT", 30, flex=1))
DIFFERENCE_COLUMNS = (
    Column("kind", "DIFFERENCE", 10),
    Column("a", "TRACK A", 7, flex=1),
    Column("b", "TRACK B", 7, flex=1),
    Column("class", "CLASS", 12, flex=1, rank=2),
    Column("frame", "FRAME", 7, right=True),
    Column("time", "TIME", 7, right=True, rank=3),
    Column("frames", "FRAMES", 9, right=True, rank=1),
    Column("change", "CHANGE", 23, flex=1),
)
_INDENT = " " * 7
_REQUEST_LINES = 3
_TONES: dict[Kind, str] = {
    "lost": "bad",
    "new": "good",
    "split": "warn",
    "merged": "warn",
    "switched": "accent",
    "class": "info",
    "text": "info",
}


def choice_rows(choices: Sequence[Choice]) -> list[Row]:
    return [Row(one.word, (((one.word, ""),), ((one.what, "dim"),))) for one in choices]


def head_lines(found: Comparison, width: int) -> list[Line]:
    """Return the video, both tasks, what they were asked, and the sum of the differences.

    `width` is in cells.
    """
    matched = "" if found.matched_by != "time" else ", matched by time"
    counts = [(kind, found.counts[kind]) for kind in KINDS]
    spans = [(f"{n} {kind}  ", f"{_TONES[kind]}!") for kind, n in counts if n]
    overlap = "" if found.iou is None else f", mean IoU {found.iou:.2f}"
    return [
        (("video  ", "dim"), (found.source, "")),
        _side("a", found.a, width),
        _side("b", found.b, width),
        *_request_lines(found),
        (
            (_INDENT, ""),
            (f"{len(found.matches)} tracks matched", "!"),
            (f" in {grouped(found.common_frames)} common frames{matched}{overlap}", "dim"),
        ),
        ((_INDENT, ""), *(spans or [("no difference  ", "good!")]), *_first(found)),
    ]


def difference_rows(found: Comparison) -> list[Row]:
    """Return the rows in the order of the differences; a row's key is its place."""
    return [_row(place, one) for place, one in enumerate(found.differences)]


def _side(name: str, side: Compared, width: int) -> Line:
    """Return a task's line; where its id has no room, with the end of it."""
    precision = f" in {side.precision}" if side.precision else ""
    line: Line = (
        (f"{name}      ", "accent!"),
        (" → ".join(map(str, side.steps)), "!"),
        (f"{precision}  ", ""),
        (f"{grouped(side.tracks)} tracks  ", ""),
    )
    task = side.task if length(line) + len(side.task) <= width else short_id(side.task)
    return (*line, (task, "dim"))


def _request_lines(found: Comparison) -> list[Line]:
    """Return the fields in which the requests differ, the first ones."""
    lines: list[Line] = [
        (
            (_INDENT, ""),
            (f"{one.field}  ", "dim"),
            (f"{value_text(one.a)} → {value_text(one.b)}", "info"),
        )
        for one in found.requests[:_REQUEST_LINES]
    ]
    if (n_more := len(found.requests) - _REQUEST_LINES) > 0:
        fields = "field" if n_more == 1 else "fields"
        lines.append(((_INDENT, ""), (f"and {n_more} more {fields} of the requests", "faint")))
    return lines or [((_INDENT, ""), ("equal requests", "dim"))]


def _first(found: Comparison) -> Line:
    """Return which frame is the first that differs."""
    if found.first is None:
        return ()
    time_s = found.first.time_s
    at = "" if time_s is None else f", {media_time(round(time_s * 1000), tenths=True)}"
    return ((f"first in frame {grouped(found.first.frame)}{at}", "dim"),)


def _row(place: int, one: Difference) -> Row:
    none: Line = (("·", "faint"),)
    a, b = one.tracks
    return Row(
        str(place),
        (
            ((one.kind, f"{_TONES[one.kind]}!"),),
            ((a, ""),) if a else none,
            ((b, ""),) if b else none,
            ((one.class_name, ""),),
            ((grouped(one.frame), ""),),
            ((f"{one.time_s:.2f}", "dim"),) if one.time_s is not None else none,
            ((f"{one.frames}/{one.of_frames}", "dim"),),
            ((one.change, ""),) if one.change else (),
        ),
    )
