"""Rendering of an action on many tasks: a row with the result of each. Pure."""

from collections.abc import Sequence

from console.tui.drawing.formatting import short_id
from console.tui.drawing.table_layout import Column, Row
from console.tui.view_models.bulk_run import Item, State
from console.tui.view_models.task_list import TaskView

RESULT_COLUMNS = (
    Column("task", "TASK", 7),
    Column("source", "SOURCE", 16, flex=1, rank=1),
    Column("result", "RESULT", 30, flex=3),
)
_MARKS: dict[State, tuple[str, str]] = {
    "waiting": ("○", "dim"),
    "under way": ("●", "info"),
    "done": ("✔", "good"),
    "refused": ("✖", "bad"),
    "not sent": ("◌", "warn"),
}


def result_rows(items: Sequence[Item]) -> list[Row]:
    """Return the rows, those that were refused first: they are what has to be looked at."""
    ordered = sorted(items, key=lambda item: item.state != "refused")
    return [_row(item) for item in ordered]


def _row(item: Item) -> Row:
    mark, tone = _MARKS[item.state]
    result = item.result or item.state
    return Row(
        item.task.id,
        (
            ((short_id(item.task.id), ""),),
            ((TaskView(item.task).source, "dim"),),
            ((f"{mark} ", f"{tone}!"), (result, tone)),
        ),
    )
