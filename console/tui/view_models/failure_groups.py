"""View model of failed tasks by code and source: rows, and the query of a row's tasks. Pure."""

from collections.abc import Sequence
from datetime import datetime

from api.contract.query.tasks import TASKS
from api.contract.query.terms import Among, Compare, Query, Term, render
from api.contract.system import FailureGroup
from console.tui.drawing.formatting import duration, grouped
from console.tui.drawing.table_layout import Column, Row
from console.tui.view_models.task_list import parse_time

WINDOW_S = 86400
"""Failures of tasks that were created within this time are counted."""
GROUP_COLUMNS = (
    Column("tasks", "TASKS", 6, right=True),
    Column("code", "ERROR", 22, flex=1),
    Column("source", "SOURCE", 20, flex=1),
    Column("last", "LAST", 6, right=True),
)


def group_rows(groups: Sequence[FailureGroup], now: datetime) -> list[Row]:
    """Return a row for each group, which keeps its key when it is counted again."""
    return [
        Row(
            group_key(group),
            (
                ((grouped(group.tasks), "bad!"),),
                ((group.code or "unknown", "bad"),),
                ((group.source, ""),),
                ((duration((now - (parse_time(group.last_at) or now)).total_seconds()), "dim"),),
            ),
        )
        for group in groups
    ]


def group_key(group: FailureGroup) -> str:
    """Return the key of a group's row."""
    return f"{group.code} {group.source}"


def tasks_query(group: FailureGroup) -> str:
    """Return the query that finds the group's tasks in a list.

    Code and source are looked for as parts of a text: a longer name that has this one fits, too.
    """
    terms: list[Term] = [Among("status", ("failed",))]
    if group.code:
        terms.append(Among("error", (group.code,)))
    if group.source:
        terms.append(Among("source", (group.source,)))
    terms.append(Compare("age", "<", float(WINDOW_S)))
    return render(Query(tuple(terms)), TASKS)
