"""ClickHouse query on failed tasks: how many by error code and source."""

from collections.abc import Sequence

import msgspec

from api.store.clickhouse import Rows
from api.store.task_conditions import SHOWN_NAME
from streamproc.contract import tables


class FailedGroup(msgspec.Struct, frozen=True):
    """Failed tasks of one error code and one source; times are Unix milliseconds."""

    code: str
    source: str
    tasks: int
    last_ms: int
    last_task: str


async def list_failures(
    rows: Rows, project: str, from_ms: int | None, to_ms: int | None, limit: int
) -> Sequence[FailedGroup]:
    """Return the groups of tasks created in `[from_ms, to_ms)`, the largest first."""
    parameters: dict[str, object] = {"project": project, "limit": limit}
    conditions = ["project = {project:String}", "status = 'failed'"]
    if from_ms is not None:
        conditions.append("created_at >= fromUnixTimestamp64Milli({from_ms:Int64})")
        parameters["from_ms"] = from_ms
    if to_ms is not None:
        conditions.append("created_at < fromUnixTimestamp64Milli({to_ms:Int64})")
        parameters["to_ms"] = to_ms
    found = await rows.query(
        f"""SELECT ifNull(toString(error_code), '') AS code, {SHOWN_NAME} AS shown, count() AS n,
        max(toUnixTimestamp64Milli(ifNull(finished_at, created_at))) AS last_ms,
        argMax(task_id, ifNull(finished_at, created_at))
        FROM {tables.TASKS} FINAL WHERE {" AND ".join(conditions)}
        GROUP BY code, shown ORDER BY n DESC, last_ms DESC, code, shown
        LIMIT {{limit:UInt32}}""",  # noqa: S608 - constants
        parameters,
    )
    return [FailedGroup(*row) for row in found]
