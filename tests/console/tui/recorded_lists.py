"""Lists of the recorded api: filters, orders and counts as the real one has them.

The meaning of a query is that of `api.contract.query`, which the api's own tests compare with SQL.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import msgspec
from msgspec import UNSET

from api.contract.query.parser import parse
from api.contract.query.tasks import TASKS, TaskFacts, matches, parse_sort, sort_value
from api.contract.tasks import TaskResource
from streamproc.contract.source_label import short_name

Params = Mapping[str, Sequence[str]]


def task_page(
    tasks: Sequence[dict[str, Any]], params: Params, size: int, now: datetime
) -> dict[str, Any]:
    """Return the page of the tasks, newest first, that the api would answer with."""
    now_ms = round(now.timestamp() * 1000)
    query = parse(params.get("q", [""])[0], TASKS)
    sort = parse_sort(params.get("sort", ["-created"])[0])
    found = []
    for task in tasks:
        facts = _facts(task)
        if (
            ("status" not in params or facts.status in params["status"])
            and ("task" not in params or facts.id in params["task"])
            and matches(query, facts, now_ms)
        ):
            found.append((sort_value(facts, sort.key, now_ms), facts.created_ms, facts.id, task))
    found.sort(key=lambda one: one[:3], reverse=sort.descending)
    start = int(params.get("cursor", ["0"])[0])
    page = [one[3] for one in found[start : start + size]]
    more = start + len(page) < len(found)
    answer: dict[str, Any] = {"data": page, "next_cursor": str(start + len(page)) if more else None}
    if "include" in params:
        answer["counts"] = {"matching": len(found), "all": len(tasks)}
    return answer


def _facts(listed: dict[str, Any]) -> TaskFacts:
    task = msgspec.convert(listed, TaskResource)
    expected = task.progress.expected_frames
    return TaskFacts(
        id=task.id,
        status=task.status,
        created_ms=_ms(task.created_at) or 0,
        started_ms=_ms(task.started_at),
        finished_ms=_ms(task.finished_at),
        sources=(task.source, short_name(task.source)),
        source_name=short_name(task.source),
        steps=tuple(task.steps),
        models=(task.model or "",),
        provider=task.provider or "",
        error_code=task.error.code if task.error else "",
        error_message=task.error.message if task.error else "",
        processed_frames=task.progress.processed_frames,
        expected_frames=None if expected is UNSET else expected,
    )


def _ms(text: str | None) -> int | None:
    return None if text is None else round(datetime.fromisoformat(text).timestamp() * 1000)
