"""Rendering of the wall's panes: a line above each picture, and two below. Pure."""

from collections.abc import Sequence

from console.tui.drawing.formatting import STATUS_MARKS, duration, grouped, rate, short_id
from console.tui.drawing.styled_text import Line, Span, length
from console.tui.view_models.live_stream import LiveSnapshot
from console.tui.view_models.task_list import TaskView
from console.tui.view_models.wall import rate_fps
from console.tui.widgets.task_rendering import STATUS_TONES

_OLD_S = 5.0
"""A picture of an earlier frame is that old before it is pointed out."""
_OLD_LATEST_S = 15.0
"""The last picture of a live source is always of an earlier frame: a new one comes every 10 s."""
_WIDE = 34
_USUAL = 24


def wall_line(side: int, n_shown: int, n_without: int, *, is_marked: bool) -> Line:
    """Return the line above all panes: the grid, what it shows, and how many have no pane."""
    what = "marked tasks" if is_marked else "running tasks"
    spans: list[Span] = [(f"Wall {side}x{side}", "accent!"), (f"  {n_shown} {what}", "")]
    if n_without:
        spans.append((f", {grouped(n_without)} more without a pane", "warn"))
    return tuple(spans)


def pane_head(number: int, task_id: str, view: TaskView | None, width: int) -> Line:
    """Return number, status, source and, if there is room, the id of a pane's task."""
    status = "pending" if view is None else view.task.status
    tone = STATUS_TONES[status]
    source = "" if view is None else view.source
    line: Line = (
        (f"{number} ", "accent!"),
        (f"{STATUS_MARKS[status]} ", f"{tone}!"),
        (source, ""),
    )
    shown_id = f" {short_id(task_id)}" if source else short_id(task_id)
    has_room = not source or length(line) + len(shown_id) <= width
    return (*line, (shown_id, "dim")) if has_room else line


def pane_foot(
    view: TaskView | None,
    snapshot: LiveSnapshot,
    pictured: int | None,
    picture_age_s: float,
    note: Span | None,
    width: int,
) -> Sequence[Line]:
    """Return counts per class (now, and distinct ones so far), and the rate or what is wrong.

    `pictured` is the frame of the picture; `note` is told instead of the rate.
    """
    if note is not None:
        return (_counts(snapshot), (note,))
    is_behind = pictured != snapshot.last_frame
    is_last = snapshot.ended and not is_behind
    age_s = None if pictured is None or is_last else picture_age_s
    old_s = _OLD_LATEST_S if snapshot.capture.is_live else _OLD_S
    is_old = is_behind and picture_age_s >= old_s
    figures = _figures(view, snapshot, age_s, width, is_old=is_old)
    return (_counts(snapshot), figures)


def _counts(snapshot: LiveSnapshot) -> Line:
    names = sorted(snapshot.classes_ever, key=lambda name: (-snapshot.classes_ever[name], name))
    names += sorted(snapshot.classes_now.keys() - snapshot.classes_ever.keys())
    spans: list[Span] = []
    for name in names:
        now, ever = snapshot.classes_now.get(name, 0), snapshot.classes_ever.get(name, 0)
        spans += [(f"{name} ", "dim"), (f"{now}", ""), (f"/{grouped(ever)}  ", "dim")]
    if not spans and snapshot.n_chunks:
        return (("nothing found yet", "dim"),)
    return tuple(spans)


def _figures(
    view: TaskView | None,
    snapshot: LiveSnapshot,
    picture_age_s: float | None,
    width: int,
    *,
    is_old: bool,
) -> Line:
    if snapshot.error:
        return ((snapshot.error, "bad"),)
    if not snapshot.n_chunks:
        return (("no frame yet", "dim"),)
    gap = "  " if width >= _USUAL else " "
    spans: list[Span] = [(f"{rate(rate_fps(snapshot))} fps", "info")]
    expected = None if view is None else view.expected_frames
    if expected and not snapshot.ended:
        spans.append((f"{gap}{min(1.0, snapshot.n_chunks / expected):.0%}", ""))
    if picture_age_s is not None:
        what = "picture " if width >= _WIDE else ""
        age = f"{gap}{what}{duration(round(picture_age_s))} old"
        spans.append((age.replace(".0s", "s"), "warn" if is_old else "dim"))
    return tuple(spans)
