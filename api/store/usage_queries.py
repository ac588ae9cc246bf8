"""ClickHouse queries on `v_usage`: usage of projects per UTC day, and stored bytes."""

from collections.abc import Sequence

import msgspec

from api.http.pagination import UsageCursor
from api.store.clickhouse import Rows

_COLUMNS = """toString(day), project, tasks, processed_frames, decoded_frames,
    processing_time_ms, log_bytes"""


class UsageRow(msgspec.Struct, frozen=True):
    """Usage of one project on one UTC day; a task counts on the day of its submission."""

    day: str
    project: str
    tasks: int
    processed_frames: int
    decoded_frames: int
    processing_time_ms: int
    log_bytes: int


async def list_usage(
    rows: Rows,
    *,
    project: str | None,
    day_from: str | None,
    day_to: str | None,
    after: UsageCursor | None,
    limit: int,
) -> Sequence[UsageRow]:
    """Return the days in `[day_from, day_to)` after the cursor, newest first."""
    conditions = ["true"]
    parameters: dict[str, object] = {"limit": limit}
    if project is not None:
        conditions.append("project = {project:String}")
        parameters["project"] = project
    if day_from is not None:
        conditions.append("day >= toDate({day_from:String})")
        parameters["day_from"] = day_from
    if day_to is not None:
        conditions.append("day < toDate({day_to:String})")
        parameters["day_to"] = day_to
    if after is not None:
        conditions.append(
            "(day < toDate({after_day:String})"
            " OR (day = toDate({after_day:String}) AND project > {after_project:String}))"
        )
        parameters["after_day"], parameters["after_project"] = after.day, after.project
    sql = (
        f"SELECT {_COLUMNS} FROM v_usage WHERE {' AND '.join(conditions)}"  # noqa: S608 - constants
        " ORDER BY day DESC, project LIMIT {limit:UInt32}"
    )
    return [UsageRow(*row) for row in await rows.query(sql, parameters)]


async def stored_bytes(rows: Rows, project: str) -> int:
    """Return the total bytes of a project's indexed logs."""
    sql = "SELECT sum(log_bytes) FROM v_usage WHERE project = {project:String}"
    ((found,),) = await rows.query(sql, {"project": project})
    return int(found or 0)
