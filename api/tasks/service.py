"""Task service: status, cancel and results of a project's tasks."""

import asyncio
from collections.abc import Callable

import msgspec

from api.contract.tasks import CancelAccepted, ResultResource, TaskResource
from api.errors import ConflictError, NotFoundError, UnavailableError
from api.kafka.global_table import GlobalTable
from api.kafka.producer import Publisher
from api.log.log_state import LogState
from api.log.reader import LogReader
from api.store.clickhouse import Rows
from api.store.task_queries import IndexedTask, find_tasks
from api.store.track_queries import tracks_of_task
from api.tasks.live_state import live_states
from api.tasks.request_store import Requests
from api.tasks.results import MAX_TRACKS, ResultQuery, has_results, result_resource
from api.tasks.status import status_of, task_resource
from api.tasks.submission import now_ms
from streamproc.contract import topics
from streamproc.contract.records import CancelRequested

INDEX_POLL_S = 0.1


class Tasks:
    """Operations on single tasks, except submission and reading the log's bytes."""

    def __init__(
        self,
        *,
        requests: Requests,
        log: LogReader,
        directory: GlobalTable,
        publisher: Publisher,
        rows: Rows,
        results_wait_s: float = 5.0,
        clock_ms: Callable[[], int] = now_ms,
    ) -> None:
        self._requests = requests
        self._log = log
        self._directory = directory
        self._publisher = publisher
        self._rows = rows
        self._results_wait_s = results_wait_s
        self._clock_ms = clock_ms

    async def get(self, project: str, task: str, *, with_request: bool = False) -> TaskResource:
        """Return the task's state from its log; raises NotFoundError."""
        stored = await self._requests.get(project, task)
        state = await self._state(project, task, stored.partition)
        source = None
        if stored.spec.live is not None:
            source = live_states(self._directory.living_workers(self._clock_ms())).get(task)
        return task_resource(
            stored,
            state,
            cancel_requested=self._cancelled(task),
            with_request=with_request,
            source=source,
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

    async def results(self, project: str, task: str, query: ResultQuery) -> ResultResource:
        """Return the tracks of a task, aggregated over its whole log, or over the log so far.

        Raises NotFoundError unless the task has results (`has_results`). Without `partial`, raises
        UnavailableError if the index has not read the whole log within `results_wait_s`.
        """
        after = query.after(task)
        stored = await self._requests.get(project, task)
        state = await self._state(project, task, stored.partition)
        status = status_of(state, cancel_requested=self._cancelled(task))
        if not has_results(stored, status, query):
            raise NotFoundError(
                f"There are no results: the task is {status}.",
                code="results_not_ready",
                extra={"task_status": status},
            )
        if query.partial:
            row = next(iter(await find_tasks(self._rows, project, [task])), None)
        else:
            row = await self._whole_row(project, task, state.length)
        limit = 1 + (query.limit or MAX_TRACKS) if query.is_paged(stored) else None
        found = await tracks_of_task(self._rows, project, task, after=after, limit=limit)
        return result_resource(stored, state, row, found, query)

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
