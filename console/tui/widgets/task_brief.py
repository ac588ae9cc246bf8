"""A task in a few lines, for a dialog that asks about it. Pure."""

from datetime import datetime

from console.tui.drawing.formatting import STATUS_MARKS, duration, grouped
from console.tui.drawing.styled_text import Line
from console.tui.view_models.task_list import TaskView, parse_time
from console.tui.widgets.task_rendering import STATUS_TONES


def brief_lines(view: TaskView | None, task_id: str, now: datetime) -> list[Line]:
    """Return source, steps, progress, age and id; what was not read yet is said to be so."""
    unread: Line = (("not read yet", "dim"),)
    source: Line = unread if view is None else ((view.source, "!"),)
    steps: Line = unread if view is None else ((" → ".join(view.task.steps), ""),)
    return [
        (("source    ", "dim"), *source),
        (("steps     ", "dim"), *steps),
        (("progress  ", "dim"), *(unread if view is None else _progress(view, now))),
        (("age       ", "dim"), *(unread if view is None else _age(view, now))),
        (("task      ", "dim"), (task_id, "dim")),
        (),
    ]


def _progress(view: TaskView, now: datetime) -> Line:
    task = view.task
    tone = STATUS_TONES[task.status]
    n_frames = task.progress.processed_frames
    fraction = view.fraction
    text = f"{grouped(n_frames)} frames"
    if fraction is not None and task.status != "succeeded":
        text = f"{fraction:.0%}, {grouped(n_frames)} of {grouped(view.expected_frames or 0)} frames"
    eta_s = view.eta_s(now)
    left = f", {duration(eta_s)} left" if eta_s is not None else ""
    return (
        (f"{STATUS_MARKS[task.status]} {task.status}", f"{tone}!"),
        (f"  {text}{left}", ""),
    )


def _age(view: TaskView, now: datetime) -> Line:
    created = parse_time(view.task.created_at) or now
    return ((duration((now - created).total_seconds()), ""),)
