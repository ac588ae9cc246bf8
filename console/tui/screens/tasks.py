"""The Tasks tab: all tasks of the project, details of the selected one, and actions on it."""

import asyncio
from collections.abc import Callable
from datetime import datetime
from typing import ClassVar

from textual import on, work
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Horizontal, VerticalScroll
from textual.reactive import reactive
from textual.widgets import Input

from api.contract.resources import TaskPage
from console.client import calls
from console.errors import ConsoleError
from console.tui.api_session import ApiSession
from console.tui.keys import TASKS, bindings
from console.tui.messages import OpenTask, TaskRead, TasksRead
from console.tui.screens.tab import Tab
from console.tui.screens.task_actions import TaskActions
from console.tui.view_models.task_list import ACTIVE, SORT_KEYS, SortKey, TaskFilter, TaskList
from console.tui.widgets.canvas import Lines
from console.tui.widgets.splitter import Splitter
from console.tui.widgets.table import Listing
from console.tui.widgets.task_filter_bar import TaskFilterBar
from console.tui.widgets.task_rendering import COLUMNS, details_lines, task_row

PAGE = 50
CALM_FACTOR = 3.0
_DESCRIBED_AT_ONCE = 8


class TasksTab(Tab):
    """Tasks tab; polls while it is shown, and reads the requests of visible rows.

    `sort` is (key, reversed).
    """

    BINDINGS: ClassVar[list[BindingType]] = list(bindings(TASKS))

    sort: reactive[tuple[SortKey, bool]] = reactive(("age", False))

    def __init__(self, backend: ApiSession, poll_s: float) -> None:
        super().__init__(backend, "tasks")
        self.tasks = TaskList()
        self._filter = TaskFilterBar()
        self._listing = Listing(COLUMNS, id="task-list", empty="reading …")
        self._actions = TaskActions(self, backend, self.tasks, self._hurry_up)
        self._poll_s = poll_s
        self._generation = 0
        self._more_asked = False
        self._asked: set[str] = set()
        self._hurry = asyncio.Event()

    def compose(self) -> ComposeResult:
        yield self._filter
        with Horizontal(id="task-panes", classes="panes"):
            yield self._listing
            yield Splitter("task-list", "columns", id="task-splitter")
            with VerticalScroll(id="task-details", can_focus=True):
                yield Lines(id="task-facts")

    def on_mount(self) -> None:
        self.watch(self._filter, "wanted", self._filtered, init=False)
        self.set_interval(1.0, self.draw)

    def on_shown(self) -> None:
        self.focus_now(self._listing)
        self._hurry.set()
        self._poll()

    def on_hidden(self) -> None:
        self.workers.cancel_group(self, "poll")

    def _hurry_up(self) -> None:
        """Poll now, instead of after the interval."""
        self._hurry.set()

    @property
    def selected(self) -> str | None:
        """The id of the task at the list's cursor; None without rows."""
        return self._listing.key

    # -- incoming data

    def on_tasks_read(self, message: TasksRead) -> None:
        if message.generation != self._generation:
            return
        if message.is_first:
            self.tasks.refresh(message.page)
        else:
            self.tasks.extend(message.page)
            self._more_asked = False
        self.draw()

    def on_task_read(self, message: TaskRead) -> None:
        self.tasks.update(message.task)
        self.draw()

    def _filtered(self, old: TaskFilter, new: TaskFilter) -> None:
        if (old.statuses, old.window) != (new.statuses, new.window):
            self._generation += 1
            self._more_asked = False
            self.tasks.clear()
            self._poll()
        self.draw()

    def watch_sort(self) -> None:
        if self.is_mounted:
            self.draw()

    # -- drawing

    def draw(self) -> None:
        """Draw the tasks in their last known state."""
        now = self.backend.clock.now()
        key, descending = self.sort
        views = self.tasks.rows(self._filter.wanted.text, key, now, descending=descending)
        listing = self._listing
        listing.say_empty(self._empty())
        listing.show([task_row(view, now) for view in views], sorted_by=(key, descending))
        more = "+" if self.tasks.cursor else ""
        shown = f"{len(views)} of " if len(views) != len(self.tasks) else ""
        self._filter.show_count(f"{shown}{len(self.tasks)}{more} tasks")
        self._draw_details(now)
        self._describe_missing([view.task.id for view in views])

    def _draw_details(self, now: datetime) -> None:
        facts = self.query_one("#task-facts", Lines)
        task = self.tasks.task(self.selected or "")
        if task is None:
            facts.show([(("Choose a task to see its request.", "dim"),)])
            return
        request = self.tasks.request(task.id)
        facts.show(details_lines(self.tasks.view(task), request, now, facts.size.width))

    def _empty(self) -> str:
        if not self.tasks.loaded:
            return "not read yet" if not self.backend.link.is_fine else "reading …"
        if self._filter.wanted.is_open:
            return "No tasks yet: press n to submit a video."
        return "No task fits the filter: esc clears it."

    # -- requests to the api

    @work(exclusive=True, group="poll", exit_on_error=True)
    async def _poll(self) -> None:
        generation = self._generation
        while True:
            self._hurry.clear()
            try:
                page = await self.backend.ask(self._call())
            except ConsoleError:
                pause_s = self.backend.link.pause_s or self._poll_s
            else:
                self.post_message(TasksRead(page, is_first=True, generation=generation))
                busy = any(task.status in ACTIVE for task in page.data)
                pause_s = self._poll_s if busy else self._poll_s * CALM_FACTOR
                await self._refresh_selected()
            try:
                await asyncio.wait_for(self._hurry.wait(), pause_s)
            except TimeoutError:
                continue

    async def _refresh_selected(self) -> None:
        """Read the selected task while it runs, because task lists do not contain attempts."""
        task = self.tasks.task(self.selected or "")
        if task is None or task.status not in ACTIVE:
            return
        try:
            self.post_message(TaskRead(await self.backend.ask(calls.task(task.id))))
        except ConsoleError:
            return

    @work(group="more")
    async def _read_more(self, cursor: str, generation: int) -> None:
        try:
            page = await self.backend.ask(calls.after_cursor(self._call(), cursor))
        except ConsoleError:
            self._more_asked = False
            return
        self.post_message(TasksRead(page, is_first=False, generation=generation))

    @work(group="describe")
    async def _describe(self, task_id: str) -> None:
        try:
            task = await self.backend.ask(calls.task(task_id, include_request=True))
        except ConsoleError:
            return
        finally:
            self._asked.discard(task_id)
        self.post_message(TaskRead(task))

    def _describe_missing(self, shown: list[str]) -> None:
        listing = self._listing
        first = max(0, int(listing.scroll_y) - 5)
        in_sight = shown[first : first + listing.size.height + 10]
        for task_id in in_sight:
            if len(self._asked) >= _DESCRIBED_AT_ONCE or not self.backend.link.is_fine:
                return
            if task_id not in self._asked and not self.tasks.knows_request(task_id):
                self._asked.add(task_id)
                self._describe(task_id)

    def _call(self) -> calls.Call[TaskPage]:
        wanted = self._filter.wanted
        return calls.tasks(
            status=sorted(wanted.statuses),
            created_from=wanted.created_from(self.backend.clock.now()),
            limit=PAGE,
        )

    # -- user input

    @on(Listing.Moved, "#task-list")
    def _moved(self) -> None:
        self._draw_details(self.backend.clock.now())
        self.query_one("#task-details").scroll_home(animate=False)

    @on(Listing.Chosen, "#task-list")
    def _chosen(self, message: Listing.Chosen) -> None:
        self.post_message(OpenTask(message.key))

    @on(Listing.NearEnd, "#task-list")
    def _near_end(self) -> None:
        if self.tasks.cursor is not None and not self._more_asked:
            self._more_asked = True
            self._read_more(self.tasks.cursor, self._generation)

    @on(Listing.TitleClicked, "#task-list")
    def _title_clicked(self, message: Listing.TitleClicked) -> None:
        for key in SORT_KEYS:
            if key == message.column:
                self.sort = (key, not self.sort[1] if key == self.sort[0] else False)

    @on(Input.Submitted, "#words")
    def _words_given(self) -> None:
        self.focus_now(self._listing)

    def action_filter(self) -> None:
        self._filter.edit_words()

    def action_clear_filter(self) -> None:
        self._filter.clear()
        self.focus_now(self._listing)

    def action_next_status(self) -> None:
        self._filter.next_status()

    def action_next_window(self) -> None:
        self._filter.next_window()

    def action_next_sort(self) -> None:
        self.sort = (SORT_KEYS[(SORT_KEYS.index(self.sort[0]) + 1) % len(SORT_KEYS)], False)

    def action_reverse(self) -> None:
        self.sort = (self.sort[0], not self.sort[1])

    def action_submit(self) -> None:
        self._actions.submit()

    def action_edit(self) -> None:
        self._on_selected(self._actions.edit)

    def action_cancel(self) -> None:
        self._on_selected(self._actions.cancel)

    def action_rerun(self) -> None:
        self._on_selected(self._actions.rerun)

    def action_export(self) -> None:
        self._on_selected(self._actions.export)

    def action_copy_id(self) -> None:
        self._on_selected(self._actions.copy_id)

    def action_copy_curl(self) -> None:
        self._on_selected(self._actions.copy_curl)

    def _on_selected(self, action: Callable[[str], None]) -> None:
        if self.selected is not None:
            action(self.selected)

    def action_resize(self, n: int) -> None:
        self.query_one(Splitter).move(n)
