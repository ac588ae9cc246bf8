"""ClickHouse queries on the tasks table, for task lists and results."""

from collections.abc import Mapping, Sequence

import msgspec
from msgspec.structs import replace

from api.contract.query.tasks import NEWEST_FIRST, Sort, TaskFacts
from api.contract.query.terms import Query
from api.http.pagination import SortedTaskCursor, TaskCursor
from api.store.clickhouse import Rows
from api.store.query_conditions import Bindings
from api.store.task_conditions import sort_expression, task_conditions
from streamproc.contract import tables

# ruff: noqa: S608 - statements are put together from constants and placeholders

MAX_COUNTED = 100_000
"""Lists of more rows are counted up to here."""

_COLUMNS = """task_id, toUnixTimestamp64Milli(created_at), status,
    toUnixTimestamp64Milli(started_at), toUnixTimestamp64Milli(finished_at), model, provider,
    processed_frames, total_frames, fps, processing_time_ms, error_code, error_message,
    log_length, total_frames_is_estimate, steps, models, source, source_url, source_name,
    expected_frames, toUnixTimestamp64Milli(seen_from), toUnixTimestamp64Milli(seen_to), dropped"""


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
    steps: Sequence[str]
    models: Sequence[str]
    source: str
    source_url: str
    source_name: str
    expected_frames: int | None
    seen_from_ms: int | None
    seen_to_ms: int | None
    dropped: Mapping[str, int]

    @property
    def shown_source(self) -> str:
        """The masked URL, or what rows of older versions have: the host, `file` or `upload`."""
        return self.source_url or self.source

    def facts(self, *, cancel_requested: bool) -> TaskFacts:
        """Return what a query asks of the row; a cancel request takes effect at once."""
        is_open = self.status in {"pending", "running"}
        return TaskFacts(
            id=self.task_id,
            status="cancelling" if cancel_requested and is_open else self.status,
            created_ms=self.created_ms,
            started_ms=self.started_ms,
            finished_ms=self.finished_ms,
            sources=(self.source_url, self.source_name, self.source),
            source_name=self.source_name or self.source,
            steps=tuple(self.steps),
            models=(self.model or "", *self.models),
            provider=self.provider or "",
            error_code=self.error_code or "",
            error_message=self.error_message or "",
            processed_frames=self.processed_frames,
            expected_frames=self.expected_frames,
        )


class TaskQuery(msgspec.Struct, frozen=True):
    """A list of tasks. None and empty values do not filter; times are of creation, Unix ms.

    `as_of_ms` is the moment for ages and speeds. `cancelled` are the ids of the project's tasks
    whose end was requested: unless they have ended, their status is `cancelling`.
    """

    query: Query = Query()
    sort: Sort = NEWEST_FIRST
    tasks: tuple[str, ...] = ()
    from_ms: int | None = None
    to_ms: int | None = None
    as_of_ms: int = 0
    cancelled: tuple[str, ...] = ()

    @property
    def is_open(self) -> bool:
        """Whether every task of the project matches."""
        plain = replace(self, sort=NEWEST_FIRST, as_of_ms=0, cancelled=())
        return plain == TaskQuery()


async def list_tasks(
    rows: Rows,
    project: str,
    wanted: TaskQuery,
    after: TaskCursor | SortedTaskCursor | None,
    limit: int,
) -> list[IndexedTask]:
    """Return the project's tasks after the cursor, in the order of `wanted.sort`."""
    bindings = Bindings(project=project, limit=limit)
    conditions = _conditions(wanted, bindings)
    sort = wanted.sort
    key, kind = sort_expression(sort.key, bindings, wanted.as_of_ms, wanted.cancelled)
    direction, beyond = ("DESC", "<") if sort.descending else ("ASC", ">")
    if after is not None:
        value = after.created_ms if isinstance(after, TaskCursor) else after.value
        place = ", ".join(
            (
                bindings.bind(value, kind),
                bindings.bind(after.created_ms, "Int64"),
                bindings.bind(after.task_id, "String"),
            )
        )
        conditions.append(
            f"({key}, toUnixTimestamp64Milli(created_at), task_id) {beyond} ({place})"
        )
    order = f"created_at {direction}, task_id {direction}"
    if sort.key != "created":
        order = f"{key} {direction}, {order}"
    found = await rows.query(
        f"""SELECT {_COLUMNS} FROM {tables.TASKS} FINAL WHERE {" AND ".join(conditions)}
        ORDER BY {order} LIMIT {{limit:UInt32}}""",
        bindings.values,
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
        ORDER BY created_at, task_id LIMIT {{limit:UInt32}}""",
        {"model": model, "limit": limit},
    )
    return [OpenTask(*row) for row in found]


async def count_open_tasks_with_model(rows: Rows, model: str) -> int:
    """Return how many tasks of all projects wait or run and have a step of `model`."""
    found = await rows.query(
        f"SELECT count() FROM {tables.TASKS} FINAL WHERE {_OPEN_WITH_MODEL}",
        {"model": model},
    )
    return int(found[0][0])


async def known_task_ids(rows: Rows, task_ids: Sequence[str]) -> set[str]:
    """Return those of the tasks, of any project, that are in the index."""
    if not task_ids:
        return set()
    found = await rows.query(
        f"SELECT DISTINCT task_id FROM {tables.TASKS} WHERE task_id IN {{ids:Array(String)}}",
        {"ids": list(task_ids)},
    )
    return {row[0] for row in found}


async def count_tasks(rows: Rows, project: str, wanted: TaskQuery) -> int:
    """Return how many of the project's tasks match, at most `MAX_COUNTED` + 1."""
    bindings = Bindings(project=project, limit=MAX_COUNTED + 1)
    ((count,),) = await rows.query(
        f"""SELECT count() FROM (SELECT 1 FROM {tables.TASKS} FINAL
        WHERE {" AND ".join(_conditions(wanted, bindings))} LIMIT {{limit:UInt32}})""",
        bindings.values,
    )
    return int(count)


async def count_tracks(rows: Rows, project: str, task_ids: Sequence[str]) -> dict[str, int]:
    """Return the number of tracks of each of the tasks that has any."""
    if not task_ids:
        return {}
    found = await rows.query(
        f"""SELECT task_id, uniqExact(track_id) FROM {tables.TRACKS}
        WHERE project = {{project:String}} AND task_id IN {{ids:Array(String)}}
        GROUP BY task_id""",
        {"project": project, "ids": list(task_ids)},
    )
    return {task: int(count) for task, count in found}


async def sources_of(rows: Rows, project: str, task_ids: Sequence[str]) -> dict[str, str]:
    """Return the shown sources of the tasks that are in the index, by task id."""
    return {
        row.task_id: row.shown_source
        for row in await find_tasks(rows, project, list(dict.fromkeys(task_ids)))
    }


async def find_tasks(rows: Rows, project: str, task_ids: Sequence[str]) -> list[IndexedTask]:
    """Return the given tasks of the project that are in the index, in no particular order."""
    if not task_ids:
        return []
    found = await rows.query(
        f"""SELECT {_COLUMNS} FROM {tables.TASKS} FINAL
        WHERE project = {{project:String}} AND task_id IN {{ids:Array(String)}}""",
        {"project": project, "ids": list(task_ids)},
    )
    return [IndexedTask(*row) for row in found]


def _conditions(wanted: TaskQuery, bindings: Bindings) -> list[str]:
    conditions = ["project = {project:String}"]
    if wanted.tasks:
        conditions.append(f"task_id IN {bindings.bind(list(wanted.tasks), 'Array(String)')}")
    for moment_ms, op in ((wanted.from_ms, ">="), (wanted.to_ms, "<")):
        if moment_ms is not None:
            bound = bindings.bind(moment_ms, "Int64")
            conditions.append(f"created_at {op} fromUnixTimestamp64Milli({bound})")
    conditions += task_conditions(wanted.query, bindings, wanted.as_of_ms, wanted.cancelled)
    return conditions
