"""Reads the pages of the Tasks tab's list, and posts them as messages to the tab."""

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from contextlib import suppress
from typing import Any, Literal

from textual.widget import Widget

from api.contract.tasks import TaskPage
from console.client import calls
from console.errors import ApiProblem, ConsoleError
from console.tui.api_session import ApiSession
from console.tui.messages import TaskRead, TasksRead
from console.tui.view_models.task_list import ACTIVE
from console.tui.view_models.task_pages import MAX_REFRESHED, TaskPages

CALM_FACTOR = 3.0
_SETTLE_S = 0.1

ListCall = Callable[..., calls.Call[TaskPage]]
"""The call for a page of the list as it is filtered and ordered now, with arguments of `tasks`."""


class TaskReader:
    """Polls the first page, and other rows in sight or active; reads into the gap on demand.

    `host` runs the requests as its workers and gets `TasksRead` and `TaskRead`. `generation` is
    that of the current filter and order: pages of an earlier one have another.
    """

    def __init__(
        self,
        host: Widget,
        backend: ApiSession,
        tasks: TaskPages,
        *,
        list_call: ListCall,
        in_sight: Callable[[], Sequence[str]],
        unread: Callable[[], str | None],
        poll_s: float,
    ) -> None:
        """`unread` returns the selected task if more of it is to be read than lists contain."""
        self._host = host
        self._backend = backend
        self._tasks = tasks
        self._list_call = list_call
        self._in_sight = in_sight
        self._unread = unread
        self._poll_s = poll_s
        self._more_asked = False
        self._hurry = asyncio.Event()
        self.generation = 0
        self.refusal = ""

    def start(self) -> None:
        """Poll from now on, until the host's worker group `poll` is cancelled."""
        self._hurry.set()
        # As a function: another start may come before this one's worker has begun.
        poll: Callable[[], Coroutine[None, None, Any]] = self._poll
        self._host.run_worker(poll, group="poll", exclusive=True)

    def start_over(self) -> None:
        """Read another list: the filter or the order has changed."""
        self.generation += 1
        self._more_asked = False
        self._tasks.start_over()
        self.start()

    def hurry(self) -> None:
        """Poll now, instead of after the interval."""
        self._hurry.set()

    def page_taken(self) -> None:
        """A page that was read on demand is in the list: another one may be asked for."""
        self._more_asked = False

    def read_next(self) -> None:
        """Read the page after the loaded ones, if there is one."""
        if self._tasks.head_cursor is not None and not self._more_asked:
            self._read_more("next", self._tasks.head_cursor)

    def read_before(self) -> None:
        """Read the page before the loaded end, if there is one."""
        if self._tasks.tail_cursor is not None and not self._more_asked:
            self._read_more("before", self._tasks.tail_cursor)

    def read_end(self) -> None:
        """Read the list's last page."""
        self._read_more("last", None)

    def read_selected(self) -> None:
        """Read the selected task once the cursor rests: its attempts, and its request."""
        self._run(self._settled(), "describe", exclusive=True)

    def _run(self, work: Coroutine[Any, Any, None], group: str, *, exclusive: bool = False) -> None:
        self._host.run_worker(work, group=group, exclusive=exclusive)

    async def _poll(self) -> None:
        generation = self.generation
        while True:
            self._hurry.clear()
            try:
                page = await self._backend.ask(self._list_call(with_counts=True))
                self.refusal = ""
                self._host.post_message(TasksRead(page, "first", generation=generation))
                await self._refresh_rest(page, generation)
            except ConsoleError as exc:
                self.refusal = exc.detail if isinstance(exc, ApiProblem) else ""
                pause_s = self._backend.link.pause_s or self._poll_s
            else:
                busy = any(task.status in ACTIVE for task in page.data)
                pause_s = self._poll_s if busy else self._poll_s * CALM_FACTOR
            with suppress(TimeoutError):
                await asyncio.wait_for(self._hurry.wait(), pause_s)

    async def _refresh_rest(self, page: TaskPage, generation: int) -> None:
        """Read what the first page leaves out: other rows, added rows, the selected task."""
        first = {task.id for task in page.data}
        asked = tuple(one for one in self._tasks.outdated(self._in_sight()) if one not in first)
        if asked:
            again = await self._backend.ask(self._list_call(task_ids=asked, limit=MAX_REFRESHED))
            self._host.post_message(TasksRead(again, "again", generation=generation, asked=asked))
        if self._tasks.misses_end and generation == self.generation and not self._more_asked:
            self.read_end()
        await self._refresh_selected()

    async def _refresh_selected(self) -> None:
        task_id = self._unread()
        if task_id is not None:
            found = await self._backend.ask(calls.task(task_id, include_request=True))
            self._host.post_message(TaskRead(found))

    async def _settled(self) -> None:
        await asyncio.sleep(_SETTLE_S)
        with suppress(ConsoleError):
            await self._refresh_selected()

    def _read_more(self, place: Literal["next", "before", "last"], cursor: str | None) -> None:
        self._more_asked = True
        call = self._list_call(is_reversed=place != "next")
        if cursor is not None:
            call = calls.after_cursor(call, cursor)
        self._run(self._read_page(call, place, self.generation), "more")

    async def _read_page(
        self, call: calls.Call[TaskPage], place: Literal["next", "before", "last"], generation: int
    ) -> None:
        try:
            page = await self._backend.ask(call)
        except ConsoleError:
            self._more_asked = False
            return
        self._host.post_message(TasksRead(page, place, generation=generation))
