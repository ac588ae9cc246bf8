"""The Tasks tab: all tasks of the project, details of the selected one, and actions on it."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, ClassVar

from cachetools import LRUCache
from msgspec import structs
from textual import on
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Horizontal, VerticalScroll
from textual.reactive import reactive

from api.contract.tasks import TaskPage
from console.client import calls
from console.tui.api_session import ApiSession
from console.tui.drawing.formatting import grouped, short_id
from console.tui.drawing.table_layout import LazyRows, Row
from console.tui.keys import TASKS, bindings
from console.tui.messages import OpenTask, PlaceChanged, TaskRead, TasksRead
from console.tui.screens.bulk_actions import BulkActions
from console.tui.screens.marked_tasks import MarkedTasks
from console.tui.screens.task_actions import TaskActions
from console.tui.screens.task_marks import TaskMarking
from console.tui.screens.task_reader import TaskReader
from console.tui.view_models.column_choice import ColumnChoice
from console.tui.view_models.history import Place
from console.tui.view_models.task_list import (
    ACTIVE,
    SORT_KEYS,
    SortKey,
    TaskFilter,
    TaskView,
    api_sort,
)
from console.tui.view_models.task_pages import GAP, TaskPages
from console.tui.widgets.canvas import Lines
from console.tui.widgets.query_line import QueryLine
from console.tui.widgets.splitter import Splitter
from console.tui.widgets.table import Listing
from console.tui.widgets.task_filter_bar import TaskFilterBar
from console.tui.widgets.task_rendering import COLUMNS, details_lines, gap_row, task_row

PAGE = 50
_KEPT_REQUESTS = 1024
_SOUGHT_ROWS = 1000
"""So many rows are read to find the task that was selected at a place."""


class TasksTab(MarkedTasks):
    """Tasks tab; polls while it is shown: the first page, and other rows in sight or active.

    Filter and order are the api's. `sort` is (key, reversed).
    """

    BINDINGS: ClassVar[list[BindingType]] = list(bindings(TASKS))

    sort: reactive[tuple[SortKey, bool]] = reactive(("age", False))

    def __init__(self, backend: ApiSession, poll_s: float, columns: Sequence[str] = ()) -> None:
        """`columns` are the keys of the list's columns; all of them if empty."""
        super().__init__(backend, "tasks")
        self._columns = ColumnChoice(COLUMNS, columns)
        self.tasks = TaskPages()
        self.requests: LRUCache[str, dict[str, Any]] = LRUCache(_KEPT_REQUESTS)
        self._filter = TaskFilterBar()
        self._listing = Listing(
            self._columns.columns, id="task-list", empty="reading …", with_marks=True
        )
        self._reader = TaskReader(
            self,
            backend,
            self.tasks,
            list_call=self._call,
            in_sight=lambda: self._listing.in_sight,
            unread=self._unread,
            poll_s=poll_s,
        )
        self.actions = TaskActions(self, backend, self._view, self.requests, self._reader.hurry)
        self.marking = TaskMarking(self, backend, self.tasks, self._call, self.draw)
        self.bulk = BulkActions(
            self,
            backend,
            self.marking.marks,
            self.requests,
            reload=self._reader.hurry,
            changed=self.draw,
        )
        self._end_wanted = False
        self._sought: str | None = None
        """The task to select once its row is read."""

    def compose(self) -> ComposeResult:
        yield self._filter
        with Horizontal(id="task-panes", classes="panes"):
            yield self._listing
            yield Splitter("task-list", "columns", id="task-splitter")
            with VerticalScroll(id="task-details", can_focus=True):
                yield Lines(id="task-facts")

    def on_mount(self) -> None:
        self.watch(self._filter, "wanted", self._start_over, init=False)
        self.set_interval(1.0, self.draw)

    def on_shown(self) -> None:
        self.focus_now(self._listing)
        self._reader.start()

    def on_hidden(self) -> None:
        self.workers.cancel_group(self, "poll")

    @property
    def columns(self) -> tuple[str, ...]:
        return self._columns.names

    def choose_columns(self, names: Sequence[str]) -> None:
        self._columns = ColumnChoice(COLUMNS, names)
        self._listing.columns = self._columns.columns
        self.draw()

    def place(self) -> Place:
        wanted = self._filter.wanted
        return Place(
            "tasks",
            wanted.text,
            wanted.statuses,
            wanted.window,
            self.sort,
            key=self._sought or self.selected,
        )

    def go(self, place: Place) -> None:
        self._filter.take(TaskFilter(place.statuses, place.window, place.text))
        self.sort = place.sort
        self.focus_now(self._listing)
        self._sought = place.key
        self.draw(at=self._place_of_sought())

    def show_query(self, text: str) -> None:
        """Filter by a query alone; raises `QueryError`."""
        self._filter.take(TaskFilter(text=text))

    @property
    def selected(self) -> str | None:
        """The id of the task at the list's cursor; None where there is none."""
        key = self._listing.key
        return None if key == GAP else key

    def _view(self, task_id: str) -> TaskView | None:
        task = self.tasks.task(task_id) or self.marks.task(task_id)
        return None if task is None else TaskView(task)

    # -- incoming data

    def on_tasks_read(self, message: TasksRead) -> None:
        if message.generation != self._reader.generation:
            return
        page = message.page
        match message.place:
            case "first":
                self.tasks.refresh(page)
            case "again":
                self.tasks.update(page.data, message.asked)
            case "next":
                self.tasks.extend(page)
            case "last":
                self.tasks.show_end(page)
            case "before":
                self.tasks.extend_tail(page)
        self.marks.update(page.data)
        if message.place in {"next", "last", "before"}:
            self._reader.page_taken()
        self.draw(at=self._place_after(message))

    def _place_after(self, message: TasksRead) -> int | None:
        """Return where the cursor goes once the page is drawn; None: it stays on its row."""
        listing = self._listing
        if message.place == "last" and self._end_wanted:
            self._end_wanted = False
            return -1
        if message.place == "next" and listing.key == GAP:
            return listing.cursor  # the first row of the page takes the gap's place
        return self._place_of_sought()

    def _place_of_sought(self) -> int | None:
        """Return where the sought task is; if it is not read, read on, or say that it is gone."""
        keys = self.tasks.keys
        if self._sought is None or not self.tasks.loaded:
            return None
        if self._sought not in keys:
            if self.tasks.head_cursor is not None and len(keys) < _SOUGHT_ROWS:
                self._reader.read_next()
                return None
            where = "any more" if self.tasks.head_cursor is None else f"within {grouped(len(keys))}"
            self.notify(f"{short_id(self._sought)} is not in this list {where}.", timeout=4)
            self._sought = None
            return None
        sought, self._sought = self._sought, None
        return keys.index(sought)

    def on_task_read(self, message: TaskRead) -> None:
        task = message.task
        if isinstance(task.request, dict):
            self.requests[task.id] = task.request
        listed = self.tasks.task(task.id)
        if listed is not None:  # only lists have the number of tracks
            self.tasks.update([structs.replace(task, tracks=listed.tracks)])
        self.marks.update([task])
        self.draw()

    def watch_sort(self) -> None:
        if self.is_mounted:
            self._start_over()

    def _start_over(self) -> None:
        """Ask for the list anew; the rows stay until its first page is there."""
        self._end_wanted = False
        self._sought = None
        self._reader.start_over()
        self.draw()
        if not self._filter.is_edited:
            self.post_message(PlaceChanged())

    # -- drawing

    def draw(self, *, at: int | None = None) -> None:
        """Draw the tasks in their last known state; `at` as of `Listing.show`."""
        now = self.backend.clock.now()
        listing = self._listing
        listing.say_empty(self._empty())
        held, cursor = listing.key, listing.cursor
        listing.show(
            LazyRows(self.tasks.keys, lambda key: self._row(key, now)),
            sorted_by=self.sort,
            at=at,
        )
        if at is None and listing.key == held and listing.cursor != cursor:
            listing.scroll_relative(
                y=listing.cursor - cursor, animate=False, force=True, immediate=True
            )
        self._filter.show_count(self.tasks.counts if self.tasks.loaded else None)
        self._filter.show_marks(
            len(self.marks),
            self.marks.n_elsewhere(self.tasks.keys),
            is_reading=self.marking.is_reading,
        )
        self._draw_details(now)
        self._fill_gap()

    def _row(self, key: str, now: datetime) -> Row:
        task = self.tasks.task(key)
        if task is None:
            return self._columns.of(gap_row(self.tasks.n_missing))
        return self._columns.of(task_row(TaskView(task), now, is_marked=key in self.marks))

    def _draw_details(self, now: datetime) -> None:
        facts = self.query_one("#task-facts", Lines)
        task = self.tasks.task(self.selected or "")
        if task is None:
            facts.show([(("Choose a task to see its request.", "dim"),)])
            return
        request = self.requests.get(task.id)
        facts.show(details_lines(TaskView(task), request, now, facts.size.width))

    def _empty(self) -> str:
        if not self.tasks.loaded:
            waiting = "reading …" if self.backend.link.is_fine else "not read yet"
            return self._reader.refusal or waiting
        if self._filter.wanted.is_open:
            return "No tasks yet: press n to submit a video."
        return "No task fits the filter: esc clears it."

    # -- requests to the api

    def _unread(self) -> str | None:
        """Return the selected task if it may have attempts, or a request, that were not read."""
        task = self.tasks.task(self.selected or "")
        if task is None or (task.status not in ACTIVE and task.id in self.requests):
            return None
        return task.id

    def _fill_gap(self) -> None:
        """Read on where the gap is in sight, from the side of the cursor."""
        listing = self._listing
        if not self.tasks.has_gap or GAP not in listing.in_sight:
            return
        if listing.cursor <= self.tasks.keys.index(GAP):
            self._reader.read_next()
        else:
            self._reader.read_before()

    def _call(
        self,
        *,
        task_ids: Sequence[str] = (),
        is_reversed: bool = False,
        with_counts: bool = False,
        limit: int = PAGE,
    ) -> calls.Call[TaskPage]:
        wanted = self._filter.wanted
        key, turned = self.sort
        sort = api_sort(key, is_reversed=turned)
        return calls.tasks(
            q=wanted.text,
            status=sorted(wanted.statuses),
            task_ids=task_ids,
            sort=str(sort.reversed() if is_reversed else sort),
            created_from=wanted.created_from(self.backend.clock.now()),
            with_counts=with_counts,
            limit=limit,
        )

    # -- user input

    @on(Listing.Moved, "#task-list")
    def _moved(self, message: Listing.Moved) -> None:
        if message.by_person:
            self._sought = None
        self._draw_details(self.backend.clock.now())
        self._fill_gap()
        if self._unread() is not None:
            self._reader.read_selected()
        self.query_one("#task-details").scroll_home(animate=False)

    @on(Listing.Chosen, "#task-list")
    def _chosen(self, message: Listing.Chosen) -> None:
        if message.key != GAP:
            self.post_message(OpenTask(message.key))

    @on(Listing.NearEnd, "#task-list")
    def _near_end(self) -> None:
        if not self.tasks.has_gap:
            self._reader.read_next()

    @on(Listing.EndWanted, "#task-list")
    def _end_wanted_by_key(self) -> None:
        if self.tasks.head_cursor is not None and not self.tasks.has_gap:
            self._end_wanted = True
            self._reader.read_end()

    @on(Listing.TitleClicked, "#task-list")
    def _title_clicked(self, message: Listing.TitleClicked) -> None:
        for key in SORT_KEYS:
            if key == message.column:
                self.sort = (key, not self.sort[1] if key == self.sort[0] else False)

    @on(QueryLine.Entered)
    def _query_entered(self) -> None:
        self.focus_now(self._listing)
        self.post_message(PlaceChanged())

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
        self.actions.submit()

    def action_resize(self, n: int) -> None:
        self.query_one(Splitter).move(n)
