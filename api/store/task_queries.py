"""ClickHouse queries on the tasks table, for task lists and results."""

from collections.abc import Sequence

import msgspec

from api.http.pagination import TaskCursor
from api.store.clickhouse import Rows
from streamproc.contract import tables

_COLUMNS = """task_id, toUnixTimestamp64Milli(created_at), status,
    toUnixTimestamp64Milli(started_at), toUnixTimestamp64Milli(finished_at), model, provider,
    processed_frames, total_frames, fps, processing_time_ms, error_code, error_message,
    log_length, total_frames_is_estimate"""


class IndexedTask(msgspec.Struct, frozen=True):
    """A row of `tasks`. Times are Unix milliseconds; `fps` is 0 while it is unknown."""

    task_id: str
    created_ms: int
    status: tables.TaskStatus
    started_ms: int | None
    finished_ms: int | None
    model: str | None
    provider: str | None
    processed_frames: int
    total_frames: int | None
    fps: float
    processing_time_ms: int | None
    error_code: str | None
    error_message: str | None
    log_length: int
    total_frames_is_estimate: bool


async def list_tasks(
    rows: Rows,
    project: str,
    *,
    statuses: Sequence[str],
    from_ms: int | None,
    to_ms: int | None,
    after: TaskCursor | None,
    limit: int,
) -> list[IndexedTask]:
    """Return the project's tasks created in `[from_ms, to_ms)`, after the cursor, newest first."""
    conditions = ["project = {project:String}"]
    parameters: dict[str, object] = {"project": project, "limit": limit}
    if statuses:
        conditions.append("status IN {statuses:Array(String)}")
        parameters["statuses"] = list(statuses)
    if from_ms is not None:
        conditions.append("created_at >= fromUnixTimestamp64Milli({from_ms:Int64})")
        parameters["from_ms"] = from_ms
    if to_ms is not None:
        conditions.append("created_at < fromUnixTimestamp64Milli({to_ms:Int64})")
        parameters["to_ms"] = to_ms
    if after is not None:
        conditions.append(
            "(toUnixTimestamp64Milli(created_at), task_id) < ({after_ms:Int64}, {after_id:String})"
        )
        parameters |= {"after_ms": after.created_ms, "after_id": after.task_id}
    found = await rows.query(
        f"""SELECT {_COLUMNS} FROM {tables.TASKS} FINAL WHERE {" AND ".join(conditions)}
        ORDER BY created_at DESC, task_id DESC LIMIT {{limit:UInt32}}""",  # noqa: S608 - constants
        parameters,
    )
    return [IndexedTask(*row) for row in found]


class OpenTask(msgspec.Struct, frozen=True):
    """A task that waits or runs, of any project."""

    task_id: str
    project: str
    status: tables.TaskStatus
    created_ms: int


_OPEN_WITH_MODEL = "status IN ('pending', 'running') AND has(models, {model:String})"


async def open_tasks_with_model(rows: Rows, model: str, limit: int) -> list[OpenTask]:
    """Return tasks of all projects that wait or run and have a step of `model`, oldest first."""
    found = await rows.query(
        f"""SELECT task_id, project, status, toUnixTimestamp64Milli(created_at)
        FROM {tables.TASKS} FINAL WHERE {_OPEN_WITH_MODEL}
        ORDER BY created_at, task_id LIMIT {{limit:UInt32}}""",  # noqa: S608 - constants
        {"model": model, "limit": limit},
    )
    return [OpenTask(*row) for row in found]


async def count_open_tasks_with_model(rows: Rows, model: str) -> int:
    """Return how many tasks of all projects wait or run and have a step of `model`."""
    found = await rows.query(
        f"SELECT count() FROM {tables.TASKS} FINAL WHERE {_OPEN_WITH_MODEL}",  # noqa: S608
        {"model": model},
    )
    return int(found[0][0])


async def known_task_ids(rows: Rows, task_ids: Sequence[str]) -> set[str]:
    """Return those of the tasks, of any project, that are in the index."""
    if not task_ids:
        return set()
    found = await rows.query(
        f"SELECT DISTINCT task_id FROM {tables.TASKS} WHERE task_id IN {{ids:Array(String)}}",  # noqa: S608
        {"ids": list(task_ids)},
    )
    return {row[0] for row in found}


async def find_tasks(rows: Rows, project: str, task_ids: Sequence[str]) -> list[IndexedTask]:
    """Return the given tasks of the project that are in the index, in no particular order."""
    if not task_ids:
        return []
    found = await rows.query(
        f"""SELECT {_COLUMNS} FROM {tables.TASKS} FINAL
        WHERE project = {{project:String}} AND task_id IN {{ids:Array(String)}}""",  # noqa: S608
        {"project": project, "ids": list(task_ids)},
    )
    return [IndexedTask(*row) for row in found]
