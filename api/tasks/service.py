"""Task service: status, cancel, list and results of a project's tasks."""

import asyncio
from collections.abc import Callable, Sequence

import msgspec

from api.contract.resources import (
    CancelAccepted,
    ResultResource,
    Status,
    TaskPage,
    TaskResource,
    UsageResource,
)
from api.errors import ConflictError, NotFoundError, UnavailableError
from api.http.pagination import TaskCursor, encode_cursor
from api.kafka.global_table import GlobalTable
from api.kafka.producer import Publisher
from api.log.log_state import LogState
from api.log.reader import LogReader
from api.store.clickhouse import Rows
from api.store.task_queries import IndexedTask, find_tasks, list_tasks
from api.store.track_queries import tracks_of_task
from api.tasks.request_store import Requests
from api.tasks.status import (
    indexed_resource,
    indexed_status,
    pending_resource,
    status_of,
    task_resource,
)
from api.tasks.submission import RecentTasks, now_ms
from api.tasks.track_search import summary_of
from streamproc.contract import topics
from streamproc.contract.records import CancelRequested

INDEX_POLL_S = 0.1
MIN_PAGE = 100


class TaskFilter(msgspec.Struct, frozen=True):
    """Filter of a task list: any of `statuses` (none: all), created in `[from_ms, to_ms)`."""

    statuses: frozenset[Status] = frozenset()
    from_ms: int | None = None
    to_ms: int | None = None


class Tasks:
    """Operations on a project's tasks, except submission and reading the log's bytes."""

    def __init__(
        self,
        *,
        requests: Requests,
        log: LogReader,
        directory: GlobalTable,
        publisher: Publisher,
        rows: Rows,
        recent: RecentTasks,
        results_wait_s: float = 5.0,
        clock_ms: Callable[[], int] = now_ms,
    ) -> None:
        self._requests = requests
        self._log = log
        self._directory = directory
        self._publisher = publisher
        self._rows = rows
        self._recent = recent
        self._results_wait_s = results_wait_s
        self._clock_ms = clock_ms

    async def get(self, project: str, task: str, *, with_request: bool = False) -> TaskResource:
        """Return the task's state from its log; raises NotFoundError."""
        stored = await self._requests.get(project, task)
        state = await self._state(project, task, stored.partition)
        return task_resource(
            stored, state, cancel_requested=self._cancelled(task), with_request=with_request
        )

    async def cancel(self, project: str, task: str) -> CancelAccepted:
        """Request the task's end; return once Kafka has acknowledged the request. Idempotent.

        Raises NotFoundError, and ConflictError if the task has succeeded or failed.
        """
        stored = await self._requests.get(project, task)
        state = await self._state(project, task, stored.partition)
        status = status_of(state, cancel_requested=self._cancelled(task))
        if status in {"succeeded", "failed"}:
            raise ConflictError(f"The task has already {status}.", code=f"task_{status}")
        if status in {"cancelled", "cancelling"}:
            return CancelAccepted(task, status)
        value = msgspec.msgpack.encode(CancelRequested(task, project, self._clock_ms()))
        await self._publisher.send(topics.CONTROL, task, value)
        self._directory.apply(topics.CONTROL, task, value)
        return CancelAccepted(task, "cancelling")

    async def list(
        self, project: str, wanted: TaskFilter, after: TaskCursor | None, limit: int
    ) -> TaskPage:
        """Return a page, newest first: indexed tasks and those that this process just accepted."""
        fresh = await self._not_indexed(project)
        listed = await self._indexed(project, wanted, after, limit + 1)
        known = {row.task_id for row in listed}
        entries = [
            (
                TaskCursor(row.created_ms, row.task_id),
                indexed_resource(row, cancel_requested=self._cancelled(row.task_id)),
            )
            for row in listed
        ]
        entries += [
            entry
            for entry in fresh
            if entry[0].task_id not in known and _fits(*entry, wanted, after)
        ]
        entries.sort(key=lambda entry: (entry[0].created_ms, entry[0].task_id), reverse=True)
        page = entries[:limit]
        more = len(entries) > limit
        return TaskPage(
            data=[resource for _, resource in page],
            next_cursor=encode_cursor(page[-1][0]) if more else None,
        )

    async def results(self, project: str, task: str) -> ResultResource:
        """Return the tracks of a succeeded task, aggregated over its whole log.

        Raises NotFoundError unless the task has succeeded, and UnavailableError if the index has
        not read the whole log within `results_wait_s`.
        """
        stored = await self._requests.get(project, task)
        state = await self._state(project, task, stored.partition)
        status = status_of(state, cancel_requested=self._cancelled(task))
        if status != "succeeded":
            raise NotFoundError(
                f"There are no results: the task is {status}.",
                code="results_not_ready",
                extra={"task_status": status},
            )
        row = await self._whole_row(project, task, state.length)
        tracks = await tracks_of_task(self._rows, project, task)
        return ResultResource(
            id=task,
            object="mm.pipeline.result",
            model=stored.spec.model_hint,
            usage=UsageResource(row.processed_frames, row.processing_time_ms or 0),
            tracks=[summary_of(track) for track in tracks],
        )

    async def _state(self, project: str, task: str, partition: int) -> LogState:
        return await self._log.state(project, task, partition, with_last_chunk=True)

    def _cancelled(self, task: str) -> bool:
        return self._directory.cancel_of(task) is not None

    async def _whole_row(self, project: str, task: str, length: int) -> IndexedTask:
        """Wait until the index has read `length` bytes of the task's log; return the task's row.

        Raises UnavailableError after `results_wait_s`.
        """
        deadline_s = asyncio.get_running_loop().time() + self._results_wait_s
        while True:
            for row in await find_tasks(self._rows, project, [task]):
                if row.log_length >= length:
                    return row
            if asyncio.get_running_loop().time() > deadline_s:
                raise UnavailableError(
                    "The index has not read this task's log yet.", code="index_behind"
                )
            await asyncio.sleep(INDEX_POLL_S)

    async def _not_indexed(self, project: str) -> Sequence[tuple[TaskCursor, TaskResource]]:
        """Return the tasks that this process accepted recently and the index does not have."""
        recent = self._recent.of(project, self._clock_ms())
        found = await find_tasks(self._rows, project, [stored.task for stored in recent])
        for row in found:
            self._recent.drop(row.task_id)
        indexed = {row.task_id for row in found}
        return [
            (
                TaskCursor(stored.created_ms, stored.task),
                pending_resource(stored, cancel_requested=self._cancelled(stored.task)),
            )
            for stored in recent
            if stored.task not in indexed
        ]

    async def _indexed(
        self, project: str, wanted: TaskFilter, after: TaskCursor | None, count: int
    ) -> Sequence[IndexedTask]:
        """Return up to `count` indexed tasks whose public status matches the filter."""
        statuses: set[str] = set(wanted.statuses)
        if "cancelling" in statuses:
            statuses = (statuses - {"cancelling"}) | {"pending", "running"}
        found: list[IndexedTask] = []
        size = max(count, MIN_PAGE) if statuses & {"pending", "running"} else count
        while True:
            page = await list_tasks(
                self._rows,
                project,
                statuses=sorted(statuses),
                from_ms=wanted.from_ms,
                to_ms=wanted.to_ms,
                after=after,
                limit=size,
            )
            found += [
                row
                for row in page
                if not wanted.statuses
                or indexed_status(row, cancel_requested=self._cancelled(row.task_id))
                in wanted.statuses
            ]
            if len(found) >= count or len(page) < size:
                return found[:count]
            after = TaskCursor(page[-1].created_ms, page[-1].task_id)


def _fits(
    place: TaskCursor, task: TaskResource, wanted: TaskFilter, after: TaskCursor | None
) -> bool:
    return (
        (not wanted.statuses or task.status in wanted.statuses)
        and (wanted.from_ms is None or place.created_ms >= wanted.from_ms)
        and (wanted.to_ms is None or place.created_ms < wanted.to_ms)
        and (after is None or (place.created_ms, place.task_id) < (after.created_ms, after.task_id))
    )
