"""The Live tab: follows one task's stream, and seeks to any earlier position."""

import asyncio
from collections import Counter
from datetime import datetime
from typing import Any, ClassVar

from textual import on, work
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Horizontal, Vertical
from textual.reactive import reactive
from textual.timer import Timer

from api.contract.tasks import TaskResource
from console.client import calls
from console.client.curl import curl
from console.client.log_stream import is_final
from console.errors import ApiProblem, ConsoleError
from console.tui.api_session import ApiSession
from console.tui.drawing.formatting import grouped
from console.tui.drawing.styled_text import Span
from console.tui.keys import LIVE, bindings
from console.tui.log_follower import follow_log
from console.tui.messages import (
    CopyText,
    FeedMoved,
    FeedNote,
    OpenTrack,
    PageText,
    PlaceChanged,
    TaskRead,
)
from console.tui.screens.event import EventScreen
from console.tui.screens.live_head import LiveHead
from console.tui.screens.live_preview import LivePreview, Position
from console.tui.screens.live_seek import StreamSeek
from console.tui.screens.prompt import PromptScreen
from console.tui.screens.tab import Tab
from console.tui.screens.task_actions import TaskActions
from console.tui.view_models.history import Place
from console.tui.view_models.live_stream import LiveFold, LiveSnapshot, targets_of
from console.tui.view_models.log_search import find_match
from console.tui.view_models.seek_window import SeekWindow
from console.tui.view_models.task_list import TaskView, parse_time
from console.tui.widgets.live_head_rendering import line_time
from console.tui.widgets.live_rendering import (
    EVENT_COLUMNS,
    HELD_COLUMNS,
    TARGET_COLUMNS,
    EventRows,
    target_rows,
)
from console.tui.widgets.preview import Preview
from console.tui.widgets.splitter import Splitter
from console.tui.widgets.table import Listing
from console.tui.widgets.timeline import Figures, Timeline
from streamproc.contract.chunk import Target

_STATUS_S = 1.5
_REST = 3.0
"""Minimum pause between two redraws, as a multiple of a redraw's duration, to respond to keys."""
_MAX_DRAWING_S = 0.3


class LiveTab(Tab):
    """Assign `task_id` to follow a task. It is also followed while another tab is shown."""

    BINDINGS: ClassVar[list[BindingType]] = list(bindings(LIVE))

    task_id: reactive[str | None] = reactive(None)
    snapshot: reactive[LiveSnapshot] = reactive(LiveSnapshot())
    note: reactive[tuple[str, str]] = reactive(("", "dim"))

    def __init__(
        self, backend: ApiSession, *, draw_s: float, image_widget: type[Any] | None
    ) -> None:
        super().__init__(backend, "live")
        self.fold = LiveFold()
        self._followed: TaskResource | None = None
        self._requests: dict[str, dict[str, Any]] = {}
        self._actions = TaskActions(self, backend, self.view, self._requests, self._read_status)
        self._draw_s = draw_s
        self._seek = StreamSeek(self, backend, lambda: self.snapshot.lines, self.draw)
        self._preview = LivePreview(
            backend,
            self._shown_position,
            is_live=lambda: self.snapshot.capture.is_live,
            targets_at=self._targets_at,
            image_widget=image_widget,
            id="preview",
        )
        self._timer: Timer | None = None
        self._drawing_s = 0.0
        self._visible = False
        self._sought_text = ""
        self._match: tuple[int, Span] | None = None
        """The byte of the event that a search found, and what is said about it."""
        # Posted by the tab: what the head posts while the tab draws it goes no further than here.
        self._head = LiveHead(backend, self.view, self.post_message)

    def compose(self) -> ComposeResult:
        yield self._head
        with Vertical(id="live-panes", classes="panes"):
            with Horizontal(id="live-top"):
                yield self._preview
                yield Splitter("preview", "columns", id="live-columns")
                with Vertical(id="live-side"):
                    yield Listing(TARGET_COLUMNS, id="targets", empty="no target in this frame")
                    yield Figures(id="figures")
            yield Splitter("live-top", "rows", id="live-rows")
            with Horizontal(id="live-bottom"):
                yield Timeline(id="timeline")
                yield Splitter("timeline", "columns", id="log-columns")
                yield Listing(EVENT_COLUMNS, id="events", empty="no event yet")

    def on_mount(self) -> None:
        self.draw()
        self.set_interval(1.0, self._draw_time)

    def on_shown(self) -> None:
        self._visible = True
        self.focus_now(self.query_one("#events", Listing))
        self.draw()
        self._preview.start()

    def on_hidden(self) -> None:
        self._visible = False
        self._preview.stop()

    @property
    def held(self) -> SeekWindow | None:
        """The held position; None while the newest one is shown."""
        return self._seek.held

    def hold_at(self, offset: int) -> None:
        """Hold the event at byte `offset` of the followed log, which is read if need be."""
        self._seek.go_to_byte(offset)

    def place(self) -> Place:
        return Place("live", task=self.task_id, anchor=self._seek.anchor, held=self._seek.place)

    def go(self, place: Place) -> None:
        if place.task is None:  # Live was empty then; what is followed now stays
            return
        self.task_id = place.task
        self._seek.return_to(place.anchor, place.held)

    # -- incoming data

    def watch_task_id(self, task_id: str | None) -> None:
        if not self.is_mounted or task_id is None:
            return
        self.fold = LiveFold()
        self._seek.follow(task_id, self.fold)
        self.snapshot = LiveSnapshot()
        self._head.follow(task_id)
        self.note = ("", "dim")
        self._preview.follow(task_id)
        self.query_one(Timeline).start_over()
        self._match = None
        self._follow(task_id)
        self._watch_status(task_id)
        self.draw()
        self.post_message(PlaceChanged())

    def on_feed_moved(self, _: FeedMoved) -> None:
        if self._timer is None:
            self._timer = self.set_timer(max(self._draw_s, _REST * self._drawing_s), self._take)

    def on_feed_note(self, message: FeedNote) -> None:
        self.note = (message.text, message.tone)

    def on_task_read(self, message: TaskRead) -> None:
        self._followed = task = message.task
        if isinstance(task.request, dict):
            self._requests.clear()
            self._requests[task.id] = task.request
        self._draw_head()

    def _take(self) -> None:
        self._timer = None
        started_s = self.backend.clock.monotonic_s()
        self.call_after_refresh(self._drawn, started_s)
        self.snapshot = self.fold.snapshot(started_s)

    def _drawn(self, started_s: float) -> None:
        """Measure the duration of a redraw; on a slow machine, redraws are less frequent."""
        self._drawing_s = min(_MAX_DRAWING_S, self.backend.clock.monotonic_s() - started_s)

    # -- drawing

    def watch_snapshot(self) -> None:
        self._head.note_position(self.snapshot)
        if self._visible:
            self.draw()

    def watch_note(self) -> None:
        if self._visible:
            self._draw_head()

    def draw(self) -> None:
        """Show the latest position of the stream, or the held one."""
        snapshot, held = self.snapshot, self.held
        targets, frame = self._shown_position()
        counts = dict(Counter(target.class_name for target in targets))
        self._draw_head()
        self._preview.caption()
        listing = self.query_one("#targets", Listing)
        listing.columns = TARGET_COLUMNS if held is None else HELD_COLUMNS
        listing.show(target_rows(targets, snapshot.tracks, is_held=held is not None))
        self.query_one(Figures).show(snapshot, counts)
        marked = frame if held is not None else None
        self.query_one(Timeline).show(snapshot, marked, self.fold.time_ms, self._wall_of)
        events = self.query_one("#events", Listing)
        if held is None:
            events.show(EventRows(snapshot.lines), at=-1)
        else:
            events.show(EventRows(held.lines), at=held.cursor)
        if self.task_id is None:
            self._preview.say("Choose a task in Tasks, or press o and give its id.")
        elif snapshot.ended and not snapshot.n_chunks:
            self._preview.say("The task ended without a frame.")

    def _wall_of(self, frame: int) -> datetime | None:
        """Return when a frame's chunk was made, in the user's time zone; None if unknown."""
        view = None if self.task_id is None else self.view(self.task_id)
        started = None if view is None else parse_time(view.task.started_at)
        started_ms = None if started is None else round(started.timestamp() * 1000)
        wall_ms = self.fold.wall_ms(frame, started_ms)
        return None if wall_ms is None else self.backend.clock.local(wall_ms)

    def _shown_position(self) -> Position:
        held, snapshot = self.held, self.snapshot
        if held is None:
            return snapshot.targets, snapshot.last_frame if snapshot.n_chunks else None
        chunk = held.line.chunk()
        return ((), None) if chunk is None else (targets_of(chunk), held.line.frame)

    def _targets_at(self, frame: int) -> tuple[Target, ...]:
        """Return the targets of a frame whose event is loaded, else none."""
        for line in reversed(self.snapshot.lines):
            chunk = line.chunk() if line.frame == frame and line.n_targets else None
            if chunk is not None:
                return targets_of(chunk)
        return ()

    def _draw_head(self) -> None:
        held, note = self.held, self.note
        if held is not None and self._match is not None and held.line.start == self._match[0]:
            note = self._match[1]
        self._head.show_position(self.snapshot, held, note)

    def view(self, task_id: str) -> TaskView | None:
        """Return the task if it is the followed one, and was read."""
        task = self._followed
        return None if task is None or task.id != task_id else TaskView(task)

    def _draw_time(self) -> None:
        """Draw what depends on the time alone: how long nothing came, and the picture's age.

        A stream that is stalled is told while another tab is shown, too.
        """
        if self.task_id is None:
            return
        if self._visible:
            self._head.draw_time()
            self._preview.caption()
        else:
            self._head.tell_stall()

    # -- requests to the api

    @work(exclusive=True, group="follow")
    async def _follow(self, task_id: str) -> None:
        fold = self.fold

        def tell(note: Span) -> None:
            self.post_message(FeedNote(*note))

        async for note in follow_log(self.backend, task_id, fold, tell):
            self.post_message(FeedMoved())
            if note is not None:
                tell(note)

    @work(exclusive=True, group="status")
    async def _watch_status(self, task_id: str) -> None:
        while True:
            try:
                task = await self.backend.ask(calls.task(task_id))
            except ApiProblem as exc:
                if exc.status == 404:
                    return
            except ConsoleError:
                pass
            else:
                self.post_message(TaskRead(task))
                if is_final(task):
                    return
            await asyncio.sleep(max(_STATUS_S, self.backend.link.pause_s))

    def _read_status(self) -> None:
        if self.task_id is not None:
            self._watch_status(self.task_id)

    # -- user input

    @on(Listing.Moved, "#events")
    def _event_chosen(self, message: Listing.Moved) -> None:
        if message.by_person and message.key is not None:
            self._seek.hold_byte(int(message.key))

    @on(Listing.Moved, "#targets")
    def _target_chosen(self, message: Listing.Moved) -> None:
        listing = self.query_one("#targets", Listing)
        track = int(message.key) if message.key and listing.has_focus else 0
        self._preview.choose(track if track > 0 else None)

    @on(Listing.Chosen, "#targets")
    def _target_opened(self, message: Listing.Chosen) -> None:
        track = int(message.key)
        if track <= 0 or self.task_id is None:
            self.notify("It has no track.", severity="warning")
        elif not self.snapshot.ended:
            self.notify("Tracks are listed when the task has ended.", severity="warning")
        else:
            self.post_message(OpenTrack(self.task_id, track))

    @on(Preview.TargetClicked)
    def _box_clicked(self, message: Preview.TargetClicked) -> None:
        """Choose the box's target; if the newest frame has it no more, hold the picture's frame."""
        listing = self.query_one("#targets", Listing)
        self.focus_now(listing)
        key = str(message.track_id)
        if not any(row.key == key for row in listing.rows):
            self._seek.go_to_frame(message.frame)
        if listing.move_to(key):
            self._preview.choose(message.track_id)

    @on(Timeline.FrameWanted)
    def _frame_clicked(self, message: Timeline.FrameWanted) -> None:
        self._seek.go_to_frame(message.frame)

    def _hold_cursor(self) -> None:
        """Hold the event that the user moved to: the list's message about it may be on its way."""
        key = self.query_one("#events", Listing).key_of_person
        if key is not None:
            self._seek.hold_byte(int(key))

    def action_hold(self) -> None:
        self._hold_cursor()
        self._seek.toggle()

    def action_live(self) -> None:
        self._seek.release()

    def action_step(self, n: int) -> None:
        self._hold_cursor()
        self._seek.step(n)

    def action_seek(self) -> None:
        self._seek.ask(self.snapshot.offset)

    def action_beside(self, n: int) -> None:
        """Hold the frame `n` columns of the timeline after the shown one."""
        self._hold_cursor()
        snapshot, aim = self.snapshot, self._seek.aim
        if snapshot.n_chunks:
            frame = snapshot.last_frame if aim is None else aim
            self._seek.go_to_frame(self.query_one(Timeline).frame_beside(frame, n))
            if n < 0 and self._seek.aim == frame:  # no event is that near to it
                self._seek.step(-1)

    def action_zoom(self, n: int) -> None:
        self.query_one(Timeline).zoom(n)

    def action_scroll_timeline(self, n: int) -> None:
        self.query_one(Timeline).scroll_parts(n)

    def action_search(self) -> None:
        self._hold_cursor()

        def answered(text: str | None) -> None:
            if text:
                self._sought_text = text
                self.action_match(1)

        self.app.push_screen(
            PromptScreen("Search the events for", self._sought_text, hint="pedestrian"), answered
        )

    def action_match(self, n: int) -> None:
        """Hold the next event with the text, from the held one or the newest on."""
        self._hold_cursor()
        held = self._seek.current()
        if held is None or not self._sought_text:
            return
        found = find_match(held.lines, self._sought_text, held.cursor, n)
        among = f"the {grouped(len(held.lines))} events here"
        if found is None:
            text = f"None of {among} has {self._sought_text!r}."
            self.notify(text, severity="warning")
            return
        start = held.lines[found.at].start
        note = f"{found.number} of {found.n_found} matches in {among}"
        self._match = (start, (note, "info"))
        self._seek.hold_byte(start)
        self._draw_head()

    def action_page(self) -> None:
        """Open the loaded events in the user's pager, a line of JSON each."""
        self._hold_cursor()
        held = self._seek.current()
        if held is not None:
            text = "\n".join(line.data.decode("utf-8", "replace") for line in held.lines)
            self.post_message(PageText(text + "\n", f"{self.task_id}.jsonl"))

    def action_view(self) -> None:
        """Show the whole event as JSON."""
        self._hold_cursor()
        held = self._seek.current()
        if held is not None:
            line = held.line
            time = "" if line.time_ms is None else f", {line_time(line.time_ms, line)}"
            frame = "" if line.frame is None else f", frame {grouped(line.frame)}"
            title = f"Event at byte {grouped(line.start)}{frame}{time}"
            self.app.push_screen(EventScreen(title, line.data))

    def action_preview(self) -> None:
        self._preview.toggle()

    def action_copy_event(self) -> None:
        self._hold_cursor()
        held = self._seek.current()
        if held is not None:
            about = f"The event at byte {grouped(held.line.start)}"
            self.post_message(CopyText(held.line.data.decode(), "Copied", about))

    def action_copy_curl(self) -> None:
        self._hold_cursor()
        if self.task_id is not None:
            offset = self.held.line.start if self.held else self.snapshot.offset
            call = calls.stream(self.task_id, offset)
            command = curl(call, self.backend.endpoint.url, stream=True)
            about = f"The stream from byte {grouped(offset)} on"
            self.post_message(CopyText(command, "Copied the curl command", about))

    def action_open(self) -> None:
        def answered(task_id: str | None) -> None:
            if task_id:
                self.task_id = task_id.strip()

        self.app.push_screen(PromptScreen("Follow a task", hint="vt_…"), answered)

    def action_cancel(self) -> None:
        if self.task_id is not None:
            self._actions.cancel(self.task_id)

    def action_resize(self, across: str, n: int) -> None:
        self.query_one(f"#live-{across}", Splitter).move(n)
