"""The Tracks tab: search over all tasks, one track's best crop and way, and who looks like it."""

import asyncio
from collections import OrderedDict
from pathlib import Path
from typing import ClassVar

import msgspec
from textual import on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.reactive import reactive
from textual.widgets import Input, Label

from api.contract.resources import TrackPage, TrackResource
from console.backend import Backend
from console.client import calls
from console.errors import ApiProblem, ConsoleError
from console.export import encode_rows
from console.form import FormError
from console.messages import OpenTask, PictureRead, SearchFailed, TracksRead, TrailRead
from console.picture import Shown, crop, read_jpeg
from console.screens.prompt import PromptScreen
from console.state import WINDOWS, source_name
from console.track_search import COLUMNS, LIKENESS, TrackSearch, track_facts, track_key, track_row
from console.trails import TrailFold
from console.widgets.canvas import Lines
from console.widgets.chips import Chips
from console.widgets.listing import Listing
from console.widgets.preview import Preview
from console.widgets.splitter import Splitter
from console.widgets.trajectory import Trajectory

_FIELDS = (
    ("class_name", "class", "any"),
    ("text", "text", "any"),
    ("min_dwell", "dwell ≥", "s"),
    ("min_confidence", "conf ≥", "0-1"),
)
_LIKENESS_FIRST = (LIKENESS, *COLUMNS)
_TRAIL_BYTES = 32 * 1024 * 1024
_WINDOW_BYTES = 1024 * 1024
_KEPT_TRAILS = 4
_CROP_PX = 1280
_SETTLE_S = 0.15


class TracksTab(Vertical):
    """Searches when it is first shown and when a field is entered."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("slash", "search", "Search", key_display="/"),
        Binding("m", "similar", "More like this"),
        Binding("enter", "open", "Open task", show=False),
        Binding("t", "next_window", "Time"),
        Binding("x", "export", "Export"),
        Binding("y", "copy", "Copy id", show=False),
        Binding("escape", "clear", "Clear"),
        Binding("left_square_bracket", "resize(-4)", "Narrower list", show=False),
        Binding("right_square_bracket", "resize(4)", "Wider list", show=False),
    ]

    search: reactive[TrackSearch | None] = reactive(None)

    def __init__(self, backend: Backend, *, graphics: bool) -> None:
        super().__init__(id="tracks", classes="tab")
        self.backend = backend
        self.found: list[TrackResource] = []
        self._graphics = graphics
        self._cursor: str | None = None
        self._more_asked = False
        self._trails: OrderedDict[str, TrailFold] = OrderedDict()
        self._sources: dict[str, str] = {}

    def compose(self) -> ComposeResult:
        with Horizontal(id="track-fields", classes="strip"):
            for name, label, hint in _FIELDS:
                yield Label(label, classes="track-label")
                yield Input(placeholder=hint, id=f"track-{name}", compact=True)
            yield Chips(tuple(WINDOWS), id="track-windows")
        yield Lines(id="track-like", classes="strip")
        with Horizontal(id="track-panes", classes="panes"):
            yield Listing(COLUMNS, id="track-list", empty="reading …")
            yield Splitter("track-list", "columns", id="track-splitter")
            with Vertical(id="track-details"):
                yield Preview(graphics=self._graphics, id="crop")
                yield Trajectory(id="trajectory")
                yield Lines(id="track-facts")

    def on_mount(self) -> None:
        self.query_one("#track-windows", Chips).show(frozenset({"any time"}))
        self.query_one("#crop", Preview).say("Choose a track.")

    def on_shown(self) -> None:
        self.query_one("#track-list", Listing).focus()
        if self.search is None:
            self.search = TrackSearch()
        elif not self.found:
            self._search(self.search, None)

    def on_hidden(self) -> None:
        self.workers.cancel_group(self, "trail")

    def search_similar(self, track: str) -> None:
        """Search for tracks that look like `task:track`, nearest first."""
        self.search = TrackSearch(similar_to=track)

    # -- what comes

    def watch_search(self, search: TrackSearch | None) -> None:
        if search is None:
            return
        self.found = []
        self._cursor = None
        listing = self.query_one("#track-list", Listing)
        listing.columns = _LIKENESS_FIRST if search.similar_to else COLUMNS
        listing.say_empty("reading …")
        self.query_one("#track-windows", Chips).show(frozenset({search.window}))
        like = self.query_one("#track-like", Lines)
        like.set_class(search.similar_to is not None, "-shown")
        like.show(
            [(("like ", "dim"), (search.similar_to or "", "accent!"), ("   esc clears", "dim"))]
        )
        self._draw()
        self._search(search, None)

    def on_tracks_read(self, message: TracksRead) -> None:
        if message.search != self.search:
            return
        if message.is_first:
            self.found = []
        self.found += message.page.data
        self._cursor = message.page.next_cursor
        self._more_asked = False
        self.query_one("#track-list", Listing).say_empty("No track fits.")
        self._draw()

    def on_search_failed(self, message: SearchFailed) -> None:
        self._more_asked = False
        self.query_one("#track-list", Listing).say_empty(message.why)
        self.notify(message.why, title="The search failed", severity="error")

    def _draw(self) -> None:
        now = self.backend.clock.now()
        similar = self.search is not None and self.search.similar_to is not None
        rows = [track_row(track, now) for track in self.found]
        if similar:
            rows = [row._replace(cells=(row.cells[-1], *row.cells[:-1])) for row in rows]
        self.query_one("#track-list", Listing).show(rows)

    @property
    def selected(self) -> TrackResource | None:
        key = self.query_one("#track-list", Listing).key
        return next((track for track in self.found if track_key(track) == key), None)

    # -- what is asked

    @work(exclusive=True, group="search")
    async def _search(self, search: TrackSearch, cursor: str | None) -> None:
        try:
            page: TrackPage = await self.backend.ask(search.call(self.backend.clock.now(), cursor))
        except FormError as exc:
            self.post_message(SearchFailed("; ".join(exc.errors.values())))
        except ConsoleError as exc:
            self.post_message(SearchFailed(str(exc)))
        else:
            self.post_message(TracksRead(search, page, is_first=cursor is None))

    @work(exclusive=True, group="trail")
    async def _show_track(self, track: TrackResource) -> None:
        """Read the track's way from its task's log, then the frame it is best seen in."""
        await asyncio.sleep(_SETTLE_S)  # a held arrow key passes over many tracks
        key = track_key(track)
        try:
            await self._read_source(track.task)
            trail = (await self._trails_of(track.task)).trail(track.track_id)
            if trail is None:
                self.post_message(PictureRead(key, None, "The task's log has no such track."))
                return
            found = await self.backend.read_frame(track.task, trail.best_frame, _CROP_PX)
            size_px = (found.width_px, found.height_px)
            frame = Shown(trail.best_frame, read_jpeg(found.jpeg), *size_px, ())
        except (ConsoleError, ValueError, msgspec.DecodeError) as exc:
            why = exc.detail if isinstance(exc, ApiProblem) else str(exc)
            self.post_message(PictureRead(key, None, why))
        else:
            self.post_message(TrailRead(key, trail, size_px))
            self.post_message(PictureRead(key, crop(frame, trail.best)))

    def on_picture_read(self, message: PictureRead) -> None:
        track = self.selected
        if track is None or message.key != track_key(track):
            return
        self._draw_facts(track)
        preview = self.query_one("#crop", Preview)
        if message.shown is None:
            preview.say(message.why)
        else:
            preview.show(message.shown)

    def on_trail_read(self, message: TrailRead) -> None:
        if self.selected is not None and message.key == track_key(self.selected):
            self.query_one(Trajectory).show(message.trail, message.size_px)

    async def _read_source(self, task_id: str) -> None:
        if task_id not in self._sources:
            task = await self.backend.ask(calls.task(task_id, include_request=True))
            if isinstance(task.request, dict):
                self._sources[task_id] = source_name(task.request)

    async def _trails_of(self, task_id: str) -> TrailFold:
        known = self._trails.get(task_id)
        if known is not None:
            self._trails.move_to_end(task_id)
            return known
        fold, offset = TrailFold(), 0
        while offset < _TRAIL_BYTES:
            events = await self.backend.read_log(task_id, offset, _WINDOW_BYTES)
            if not events:
                break
            fold.apply(events)
            offset = events[-1].end
        self._trails[task_id] = fold
        if len(self._trails) > _KEPT_TRAILS:
            self._trails.popitem(last=False)
        return fold

    # -- what a person does

    @on(Listing.Moved, "#track-list")
    def _moved(self) -> None:
        track = self.selected
        self.query_one("#crop", Preview).say("Choose a track." if track is None else "reading …")
        self.query_one(Trajectory).show(None, (16, 9))
        if track is None:
            self.query_one("#track-facts", Lines).show([])
            return
        self._draw_facts(track)
        self._show_track(track)

    def _draw_facts(self, track: TrackResource) -> None:
        facts = track_facts(track, self._sources.get(track.task))
        self.query_one("#track-facts", Lines).show(facts)

    @on(Listing.NearEnd, "#track-list")
    def _near_end(self) -> None:
        if self._cursor is not None and not self._more_asked and self.search is not None:
            self._more_asked = True
            self._search(self.search, self._cursor)

    @on(Listing.Chosen, "#track-list")
    def _chosen(self, message: Listing.Chosen) -> None:
        self.post_message(OpenTask(message.key.rpartition(":")[0]))

    @on(Input.Submitted)
    def _entered(self) -> None:
        self.search = self._typed(self.search.window if self.search else "any time")
        self.query_one("#track-list", Listing).focus()

    @on(Chips.Clicked, "#track-windows")
    def _window_clicked(self, message: Chips.Clicked) -> None:
        self.search = self._typed(message.name)

    def action_next_window(self) -> None:
        names = list(WINDOWS)
        now = self.search.window if self.search else names[-1]
        self.search = self._typed(names[(names.index(now) + 1) % len(names)])

    def _typed(self, window: str) -> TrackSearch:
        def text(name: str) -> str:
            return self.query_one(f"#track-{name}", Input).value

        similar_to = self.search.similar_to if self.search else None
        return TrackSearch(
            class_name=text("class_name"),
            text=text("text"),
            min_dwell=text("min_dwell"),
            min_confidence=text("min_confidence"),
            window=window,
            similar_to=similar_to,
        )

    def action_search(self) -> None:
        self.query_one(f"#track-{_FIELDS[0][0]}", Input).focus()

    def action_clear(self) -> None:
        for name, _, _ in _FIELDS:
            self.query_one(f"#track-{name}", Input).value = ""
        self.search = TrackSearch()
        self.query_one("#track-list", Listing).focus()

    def action_similar(self) -> None:
        if self.selected is not None:
            self.search_similar(track_key(self.selected))

    def action_copy(self) -> None:
        if self.selected is not None:
            self.app.copy_to_clipboard(track_key(self.selected))
            self.notify(track_key(self.selected), title="Copied the track")

    def action_export(self) -> None:
        def answered(name: str | None) -> None:
            if name:
                self._export(Path(name).expanduser())

        self.app.push_screen(
            PromptScreen(
                f"Export the {len(self.found)} listed tracks to a file: .csv or .json",
                "tracks.csv",
                check=lambda name: encode_rows((), Path(name)),
            ),
            answered,
        )

    @work(group="export")
    async def _export(self, path: Path) -> None:
        try:
            await asyncio.to_thread(path.write_bytes, encode_rows(self.found, path))
        except (OSError, ValueError) as exc:
            self.notify(str(exc), title="Not exported", severity="error")
            return
        self.notify(f"{len(self.found)} tracks in {path}", title="Exported")

    def action_resize(self, n: int) -> None:
        self.query_one(Splitter).move(n)
