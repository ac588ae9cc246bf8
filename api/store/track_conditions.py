"""SQL of the query language on the tracks table."""

from collections.abc import Sequence

from api.contract.query.terms import Query
from api.contract.query.tracks import TRACKS
from api.store.query_conditions import (
    Bindings,
    Expressions,
    class_condition,
    conditions_of,
    like_pattern,
    texts_match,
)
from api.store.task_conditions import SOURCES
from streamproc.contract import tables

# ruff: noqa: S608 - put together from constants and placeholders


def track_conditions(query: Query, bindings: Bindings, now_ms: int) -> list[str]:
    """Return the query's conditions on a row of `tracks`. The bindings must have `project`."""
    if not query.terms:
        return []
    now = bindings.bind(now_ms, "Int64")
    fields = Expressions(
        vocabulary=TRACKS,
        texts={"text": "[ifNull(text, '')]", "task": "[task_id]"},
        numbers={
            "dwell": "dwell_s",
            "confidence": "best_confidence",
            "frames": "frames_seen",
            "age": f"({now} - toUnixTimestamp64Milli(created_at)) / 1000",
        },
        words="[toString(class), ifNull(text, ''), task_id]",
        others={"class": class_condition, "source": _has_source},
    )
    return conditions_of(query, fields, bindings)


def _has_source(values: Sequence[str], bindings: Bindings) -> str:
    """Return the condition that the track's task has one of the sources."""
    patterns = [like_pattern(value, exact=False) for value in values]
    return (
        f"task_id IN (SELECT task_id FROM {tables.TASKS} FINAL WHERE project = {{project:String}}"
        f" AND {texts_match(SOURCES, patterns, bindings)})"
    )
