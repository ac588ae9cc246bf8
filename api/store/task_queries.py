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
