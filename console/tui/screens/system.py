"""The System tab: parts, workers, Kafka consumer lag, and the latest failed tasks."""

import asyncio
from collections.abc import Callable
from typing import ClassVar

from textual import on, work
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Horizontal, Vertical

from api.contract.system import SystemResource, WorkerResource
from api.contract.tasks import TaskResource
from console.client import calls
from console.errors import ConsoleError
from console.tui.api_session import ApiSession
from console.tui.keys import SYSTEM, bindings
from console.tui.messages import OpenTask, PageLogs, SystemRead
from console.tui.screens.failures import FailuresScreen
from console.tui.screens.lag import LagCurves, LagScreen
from console.tui.screens.logs import LogsScreen
from console.tui.screens.tab import Tab
from console.tui.screens.worker import WorkerScreen
from console.tui.view_models.log_book import Logs
from console.tui.view_models.system import (
    FAILURE_COLUMNS,
    LAG_COLUMNS,
    WORKER_COLUMNS,
    ServiceFold,
    failure_rows,
    part_line,
    summary_line,
)
from console.tui.widgets.canvas import Fitted, Wrapped
from console.tui.widgets.splitter import Splitter
from console.tui.widgets.table import Listing

LAG_LINES = 6
LEAST_CURVE_LINES = 3
FAILURES = 50
"""The latest failed tasks that are read."""
_EMPTY = {
    "workers": "no worker has reported yet",
    "lag": "no lag data from Kafka",
}
"""What a list without rows says once the api has answered."""


async def _read_service(backend: ApiSession) -> SystemRead:
    """Read the service's state and, if it can list them, the latest failed tasks.

    Raises ConsoleError if the state cannot be read.
    """
    system = await backend.ask(calls.system())
    try:
        failed = await backend.ask(calls.tasks(status=["failed"], limit=FAILURES))
    except ConsoleError:
        return SystemRead(system, None)
    return SystemRead(system, tuple(failed.data))


class LagPane(Vertical):
    """The list of lag, and its curves when there is room below."""

    def on_resize(self) -> None:
        self.set_class(self.size.height < LAG_LINES + LEAST_CURVE_LINES, "-low")


class SystemTab(Tab):
    """System tab; polls the api while it is shown."""

    BINDINGS: ClassVar[list[BindingType]] = list(bindings(SYSTEM))

    def __init__(
        self, backend: ApiSession, poll_s: float, logs_of: Callable[[str], Logs | None]
    ) -> None:
        """`logs_of` returns what reads the logs of the local stack with a URL, if it is here."""
        super().__init__(backend, "system")
        self._poll_s = poll_s
        self._logs_of = logs_of
        self._history = ServiceFold()
        self._hurry = asyncio.Event()
        self._wanted: tuple[str, str] | None = None
        """The list and the row that the cursor goes to once they were read."""
        self._system: SystemResource | None = None
        self._failures: tuple[TaskResource, ...] | None = None

    def compose(self) -> ComposeResult:
        yield Fitted(id="system-parts", classes="strip")
        with Vertical(classes="panes"):
            with Vertical(id="system-top"):
                yield Listing(WORKER_COLUMNS, id="workers", empty="not read yet")
            yield Splitter("system-top", "rows", id="system-rows")
            with Horizontal(id="system-bottom"):
                with LagPane(id="lag-pane"):
                    yield Listing(LAG_COLUMNS, id="lag", empty="not read yet")
                    yield LagCurves(id="lag-curves")
                yield Splitter("lag-pane", "columns", id="system-columns")
                with Vertical(id="failure-pane"):
                    yield Listing(FAILURE_COLUMNS, id="failures", empty="not read yet")
                    yield Wrapped(id="failure")

    def on_shown(self) -> None:
        self.focus_now(self.query_one("#workers", Listing))
        self._poll()
        self._poll_lag()

    def on_hidden(self) -> None:
        self.workers.cancel_group(self, "poll")
        self.workers.cancel_group(self, "history")

    def on_system_read(self, message: SystemRead) -> None:
        self._history.take(message.system)
        self._system = message.system
        if message.failures is not None:
            self._failures = message.failures
        self.draw()

    def go_to(self, listing: str, key: str) -> None:
        """Focus a list (`workers`, `lag`) and move its cursor to a row, once that is read."""
        self._wanted = listing, key
        self.focus_now(self.query_one(f"#{listing}", Listing))
        self.draw()

    def draw(self) -> None:
        """Draw the last answer."""
        system = self._system
        if system is None:
            return
        now = self.backend.clock.now()
        for name, empty in _EMPTY.items():
            self.query_one(f"#{name}", Listing).say_empty(empty)
        parts = self.query_one("#system-parts", Fitted)
        parts.show(lambda width: [part_line(system), summary_line(system, width)])
        self.query_one("#workers", Listing).show(self._history.worker_rows(system, now))
        self.query_one("#lag", Listing).show(self._history.lag_rows(system))
        if self._failures is not None:
            failures = self.query_one("#failures", Listing)
            failures.say_empty("No task has failed.")
            failures.show(failure_rows(self._failures, now))
        self._draw_failure()
        if self._wanted is not None:
            listing, key = self._wanted
            self._wanted = None
            self.query_one(f"#{listing}", Listing).move_to(key)

    def _draw_failure(self) -> None:
        """Draw the chosen failure's whole message: the list shows its beginning."""
        key = self.query_one("#failures", Listing).key
        task = next((task for task in self._failures or () if task.id == key), None)
        message = task.error.message if task is not None and task.error is not None else ""
        self.query_one("#failure", Wrapped).show([((message, ""),)] if message else [])

    @work(exclusive=True, group="poll")
    async def _poll(self) -> None:
        while True:
            self._hurry.clear()
            pause_s = self._poll_s
            try:
                self.post_message(await _read_service(self.backend))
            except ConsoleError:
                pause_s = max(pause_s, self.backend.link.pause_s)
            try:
                await asyncio.wait_for(self._hurry.wait(), pause_s)
            except TimeoutError:
                continue

    @work(exclusive=True, group="history")
    async def _poll_lag(self) -> None:
        await self.query_one(LagCurves).poll(self.backend)

    @on(Listing.Moved, "#lag")
    def _lag_moved(self, message: Listing.Moved) -> None:
        curves = self.query_one(LagCurves)
        curves.chosen = message.key
        curves.redraw()

    @on(Listing.Chosen, "#lag")
    def _lag_chosen(self) -> None:
        self.app.push_screen(LagScreen(self.backend))

    @on(Listing.Moved, "#failures")
    def _failure_moved(self) -> None:
        self._draw_failure()

    @on(Listing.Chosen, "#workers")
    def _worker_chosen(self, message: Listing.Chosen) -> None:
        worker_id = message.key

        def find() -> WorkerResource | None:
            workers = self._system.workers if self._system is not None else []
            return next((one for one in workers if one.id == worker_id), None)

        if find() is None:  # another role: all that is known of it is in its row
            return
        self.app.push_screen(WorkerScreen(self.backend, worker_id, find))

    @on(Listing.Chosen, "#failures")
    def _failure_chosen(self, message: Listing.Chosen) -> None:
        self.post_message(OpenTask(message.key))

    def action_failures(self) -> None:
        self.app.push_screen(FailuresScreen(self.backend))

    def action_page_logs(self) -> None:
        workers = self.query_one("#workers", Listing)
        self.post_message(PageLogs((workers.key or "") if workers.has_focus else ""))

    def action_logs(self) -> None:
        logs = self._logs_of(self.backend.endpoint.url)
        if logs is None:
            self.notify("The logs of a stack of this machine alone can be shown.", title="No logs")
        else:
            self.app.push_screen(LogsScreen(logs))

    def action_refresh(self) -> None:
        self._hurry.set()

    def action_resize(self, across: str, n: int) -> None:
        self.query_one(f"#system-{across}", Splitter).move(n)
