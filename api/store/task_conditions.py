"""SQL of the query language on the tasks table: conditions, and the keys of orders.

`api.contract.query.tasks` says the same of a task in memory; a test compares the two.
"""

from collections.abc import Sequence

from api.contract.query.tasks import STATUS_RANK, TASKS, UNKNOWN, SortKey
from api.contract.query.terms import Query
from api.store.query_conditions import Bindings, Expressions, class_condition, conditions_of
from streamproc.contract import tables

# ruff: noqa: S608 - put together from constants and placeholders

SOURCES = "[source_url, source_name, source]"
_MODELS = "arrayConcat([ifNull(model, '')], arrayMap(m -> toString(m), models))"
_STEPS = "arrayMap(s -> toString(s), steps)"
_PROVIDER = "[ifNull(toString(provider), '')]"
_ERRORS = "[ifNull(toString(error_code), ''), ifNull(error_message, '')]"
SHOWN_NAME = "if(source_name = '', source, source_name)"
_PROGRESS = """multiIf(status = 'succeeded', 1.,
    ifNull(expected_frames, 0) = 0, NULL,
    least(1., processed_frames / expected_frames))"""
_CREATED_MS = "toUnixTimestamp64Milli(created_at)"


def task_conditions(
    query: Query, bindings: Bindings, now_ms: int, cancelled: Sequence[str]
) -> list[str]:
    """Return the query's conditions on a row of `tasks`.

    `cancelled`: ids of tasks whose end was requested. The bindings must have `project`.
    """
    if not query.terms:
        return []
    return conditions_of(query, _expressions(bindings, now_ms, cancelled), bindings)


def sort_expression(
    key: SortKey, bindings: Bindings, now_ms: int, cancelled: Sequence[str]
) -> tuple[str, str]:
    """Return the SQL of a sort key and its type, `Int64` or `String`: see `sort_value`."""
    match key:
        case "created":
            return _CREATED_MS, "Int64"
        case "frames":
            return "toInt64(processed_frames)", "Int64"
        case "source":
            return f"lower({SHOWN_NAME})", "String"
        case "status":
            ranks = " ".join(f"WHEN '{status}' THEN {n}" for status, n in STATUS_RANK.items())
            status = _status(bindings, cancelled)
            return f"toInt64(CASE {status} {ranks} ELSE {UNKNOWN} END)", "Int64"
        case "fps":
            return f"toInt64(ifNull(({_fps(bindings, now_ms)}) * 1000, {UNKNOWN}))", "Int64"
        case "progress":
            return f"toInt64(ifNull(({_PROGRESS}) * 1000000, {UNKNOWN}))", "Int64"


def _expressions(bindings: Bindings, now_ms: int, cancelled: Sequence[str]) -> Expressions:
    now = bindings.bind(now_ms, "Int64")
    status = _status(bindings, cancelled)
    return Expressions(
        vocabulary=TASKS,
        texts={
            "status": f"[{status}]",
            "step": _STEPS,
            "source": SOURCES,
            "id": "[task_id]",
            "model": _MODELS,
            "provider": _PROVIDER,
            "error": _ERRORS,
        },
        numbers={
            "age": f"({now} - {_CREATED_MS}) / 1000",
            "ended": f"({now} - toUnixTimestamp64Milli(finished_at)) / 1000",
            "fps": _fps(bindings, now_ms),
            "progress": _PROGRESS,
            "frames": "processed_frames",
        },
        words=(
            f"arrayConcat([task_id, {status}], {SOURCES}, {_STEPS}, {_MODELS}, {_PROVIDER},"
            f" {_ERRORS})"
        ),
        others={"class": _has_class},
    )


def _status(bindings: Bindings, cancelled: Sequence[str]) -> str:
    """Return the public status: a cancel request takes effect at once."""
    if not cancelled:
        return "toString(status)"
    ids = bindings.bind(list(cancelled), "Array(String)")
    return (
        f"if(status IN ('pending', 'running') AND task_id IN {ids}, 'cancelling', toString(status))"
    )


def _fps(bindings: Bindings, now_ms: int) -> str:
    now = bindings.bind(now_ms, "Int64")
    end = f"ifNull(toUnixTimestamp64Milli(finished_at), {now})"
    took = f"greatest(1, {end} - toUnixTimestamp64Milli(started_at))"
    return (
        "if(processed_frames > 0 AND started_at IS NOT NULL,"
        f" processed_frames * 1000 / {took}, NULL)"
    )


def _has_class(values: Sequence[str], bindings: Bindings) -> str:
    """Return the condition that a track of the task has one of the classes."""
    return (
        f"task_id IN (SELECT task_id FROM {tables.TRACKS} FINAL WHERE project = {{project:String}}"
        f" AND {class_condition(values, bindings)})"
    )
