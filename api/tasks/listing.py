"""Task list: pages in any order, of indexed tasks and of those that this process just accepted."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from msgspec import UNSET
from msgspec.structs import replace

from api.contract.counts import Counts
from api.contract.query.tasks import NEWEST_FIRST, TaskFacts, matches, sort_value
from api.contract.tasks import TaskPage, TaskResource
from api.errors import BadRequestError
from api.http.pagination import SortedTaskCursor, TaskCursor, encode_cursor
from api.kafka.global_table import GlobalTable
from api.store.clickhouse import Rows
from api.store.task_queries import (
    IndexedTask,
    TaskQuery,
    count_tasks,
    count_tracks,
    find_tasks,
    list_tasks,
)
from api.tasks.counts import counts_of
from api.tasks.live_state import live_states
from api.tasks.status import indexed_resource, pending_facts, pending_resource
from api.tasks.submission import RecentTasks
from streamproc.contract.records import LiveSourceState

Cursor = TaskCursor | SortedTaskCursor
Place = tuple[Any, int, str]
"""Sort key (all of a list are numbers, or all are texts), time of creation, and id."""


class _Entry(NamedTuple):
    """A row of the list, and its place in the order."""

    place: Place
    facts: TaskFacts
    resource: TaskResource


class TaskListing:
    """Lists the tasks of projects. Use from one event loop."""

    def __init__(
        self,
        *,
        directory: GlobalTable,
        rows: Rows,
        recent: RecentTasks,
        clock_ms: Callable[[], int],
    ) -> None:
        self._directory = directory
        self._rows = rows
        self._recent = recent
        self._clock_ms = clock_ms

    async def page(
        self,
        project: str,
        wanted: TaskQuery,
        after: Cursor | None,
        limit: int,
        *,
        with_counts: bool = False,
    ) -> TaskPage:
        """Return the page after the cursor.

        Raises BadRequestError for a cursor of another order, and RowsUnavailableError.
        """
        wanted = replace(
            wanted,
            as_of_ms=_moment_of(after, wanted) or self._clock_ms(),
            cancelled=self._directory.cancelled(project),
        )
        recent = await self._not_indexed(project, wanted)
        fresh = [entry for entry in recent if _fits(entry.facts, wanted)]
        listed = await list_tasks(self._rows, project, wanted, after, limit + 1)
        known = {row.task_id for row in listed}
        n_tracks = await count_tracks(self._rows, project, list(known))
        sources = live_states(self._directory.living_workers(self._clock_ms()))
        entries = [
            self._indexed(row, wanted, n_tracks.get(row.task_id, 0), sources.get(row.task_id))
            for row in listed
        ]
        entries += [
            entry
            for entry in fresh
            if entry.facts.id not in known and (after is None or _is_after(entry, wanted, after))
        ]
        entries.sort(key=lambda entry: entry.place, reverse=wanted.sort.descending)
        page = entries[:limit]
        return TaskPage(
            data=[entry.resource for entry in page],
            next_cursor=_cursor_at(page[-1], wanted) if len(entries) > limit else None,
            counts=await self._counts(project, wanted, len(fresh), len(recent))
            if with_counts
            else UNSET,
        )

    async def _counts(self, project: str, wanted: TaskQuery, n_fresh: int, n_recent: int) -> Counts:
        """Count the matching and all tasks; the numbers of fresh ones are added."""
        total = n_recent + await count_tasks(self._rows, project, TaskQuery())
        if wanted.is_open:
            return counts_of(total, total)
        return counts_of(n_fresh + await count_tasks(self._rows, project, wanted), total)

    async def _not_indexed(self, project: str, wanted: TaskQuery) -> Sequence[_Entry]:
        """Return the tasks that this process accepted recently and the index does not have."""
        recent = self._recent.of(project, self._clock_ms())
        found = await find_tasks(self._rows, project, [stored.task for stored in recent])
        for row in found:
            self._recent.drop(row.task_id)
        indexed = {row.task_id for row in found}
        entries: list[_Entry] = []
        for stored in recent:
            if stored.task in indexed:
                continue
            cancelled = self._cancelled(stored.task)
            facts = pending_facts(stored, cancel_requested=cancelled)
            resource = pending_resource(stored, cancel_requested=cancelled)
            entries.append(_Entry(_place(facts, wanted), facts, replace(resource, tracks=0)))
        return entries

    def _indexed(
        self, row: IndexedTask, wanted: TaskQuery, n_tracks: int, source: LiveSourceState | None
    ) -> _Entry:
        cancelled = self._cancelled(row.task_id)
        facts = row.facts(cancel_requested=cancelled)
        resource = indexed_resource(
            row, cancel_requested=cancelled, n_tracks=n_tracks, source=source
        )
        return _Entry(_place(facts, wanted), facts, resource)

    def _cancelled(self, task: str) -> bool:
        return self._directory.cancel_of(task) is not None


def _moment_of(after: Cursor | None, wanted: TaskQuery) -> int | None:
    """Return the moment of the first page, if the cursor has it.

    Raises BadRequestError for a cursor of another order.
    """
    if after is None or isinstance(after, TaskCursor):
        return None
    if after.sort != str(wanted.sort) or isinstance(after.value, str) != (
        wanted.sort.key == "source"
    ):
        raise BadRequestError("This cursor belongs to another sort.", code="bad_cursor")
    return after.as_of_ms


def _place(facts: TaskFacts, wanted: TaskQuery) -> Place:
    return (sort_value(facts, wanted.sort.key, wanted.as_of_ms), facts.created_ms, facts.id)


def _cursor_at(entry: _Entry, wanted: TaskQuery) -> str:
    value, created_ms, task = entry.place
    if wanted.sort == NEWEST_FIRST:
        return encode_cursor(TaskCursor(created_ms, task))
    return encode_cursor(
        SortedTaskCursor(str(wanted.sort), value, created_ms, task, wanted.as_of_ms)
    )


def _is_after(entry: _Entry, wanted: TaskQuery, after: Cursor) -> bool:
    value = after.value if isinstance(after, SortedTaskCursor) else after.created_ms
    place = (value, after.created_ms, after.task_id)
    return entry.place < place if wanted.sort.descending else entry.place > place


def _fits(facts: TaskFacts, wanted: TaskQuery) -> bool:
    return (
        (not wanted.tasks or facts.id in wanted.tasks)
        and (wanted.from_ms is None or facts.created_ms >= wanted.from_ms)
        and (wanted.to_ms is None or facts.created_ms < wanted.to_ms)
        and matches(wanted.query, facts, wanted.as_of_ms)
    )
