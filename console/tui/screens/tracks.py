"""The Tracks tab: search over all tasks, details of a track, search by likeness and by words."""

import asyncio
from collections.abc import Sequence
from typing import Any, ClassVar, NamedTuple

import msgspec
from msgspec import UNSET
from textual import on, work
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Horizontal
from textual.reactive import reactive

from api.contract.query.tracks import TRACKS
from api.contract.tracks import TrackPage, TrackResource
from console.errors import ConsoleError
from console.tui.api_session import ApiSession
from console.tui.drawing.formatting import counts_text
from console.tui.keys import TRACKS as TRACK_KEYS
from console.tui.keys import bindings
from console.tui.messages import CopyText, OpenTask, PlaceChanged, SearchFailed, TracksRead
from console.tui.screens.export_file import ask_export
from console.tui.screens.prompt import PromptScreen
from console.tui.screens.tab import Tab
from console.tui.screens.track_details import TrackDetails
from console.tui.view_models.column_choice import ColumnChoice
from console.tui.view_models.history import Place
from console.tui.view_models.task_list import WINDOWS
from console.tui.view_models.track_search import (
    COLUMNS,
    LIKENESS,
    TrackSearch,
    track_key,
    track_row,
)
from console.tui.widgets.canvas import Lines
from console.tui.widgets.chips import Chips
from console.tui.widgets.query_line import QueryLine
from console.tui.widgets.splitter import Splitter
from console.tui.widgets.table import Listing

_SOUGHT_ROWS = 1000
"""So many rows are read to find the track that was selected at a place."""


class Listed(NamedTuple):
    """A list to go back to: its search, its tracks, the next page, and the cursor's row."""

    search: TrackSearch
    found: list[TrackResource]
    cursor: str | None
    key: str | None


class TracksTab(Tab):
    """Tracks tab; searches when first shown and when a query is entered; polls while shown."""

    BINDINGS: ClassVar[list[BindingType]] = list(bindings(TRACK_KEYS))

    search: reactive[TrackSearch | None] = reactive(None)

    def __init__(
        self,
        backend: ApiSession,
        poll_s: float,
        *,
        image_widget: type[Any] | None,
        columns: Sequence[str] = (),
    ) -> None:
        """`columns` are the keys of the list's columns; all of them if empty."""
        super().__init__(backend, "tracks")
        self._columns = ColumnChoice(COLUMNS, columns)
        self._poll_s = poll_s
        self.found: list[TrackResource] = []
        self._details = TrackDetails(backend, image_widget=image_widget)
        self._cursor: str | None = None
        self._more_asked = False
        self._has_answer = False
        """The first page of the search was read."""
        self._before: Listed | None = None
        """What was listed before the search by likeness."""
        self._sought: str | None = None
        """The track to select once its row is read."""

    def compose(self) -> ComposeResult:
        with Horizontal(id="track-fields", classes="strip"):
            yield Chips(tuple(WINDOWS), id="track-windows")
            yield Lines(id="track-count")
        yield QueryLine(
            TRACKS,
            hint="class:person dwell>5 text~AB[0-9] confidence>0.6 source:gate*, or any words",
            is_live=False,
            input_id="track-words",
            id="track-query",
        )
        yield Lines(id="track-like", classes="strip")
        with Horizontal(id="track-panes", classes="panes"):
            yield Listing(self._columns.columns, id="track-list", empty="reading …")
            yield Splitter("track-list", "columns", id="track-splitter")
            yield self._details

    def on_mount(self) -> None:
        self.query_one("#track-windows", Chips).show(frozenset({"any time"}))

    def on_shown(self) -> None:
        self.focus_now(self.query_one("#track-list", Listing))
        if self.search is None:
            self.search = TrackSearch()
        elif not self.found:
            self._search(self.search, None)
        self._poll()

    def on_hidden(self) -> None:
        self._details.stop()
        self.workers.cancel_group(self, "poll")

    def place(self) -> Place:
        search = self.search or TrackSearch()
        key = self._sought or self.query_one("#track-list", Listing).key
        return Place(
            "tracks", search.text, window=search.window, like_text=search.like_text, key=key
        )

    def go(self, place: Place) -> None:
        search = TrackSearch(place.text, place.window, place.like_text)
        self._sought = place.key
        if search != self.search:
            self.search = search
        self.query_one(QueryLine).set_text(place.text)
        self.focus_now(self.query_one("#track-list", Listing))
        self._seek()

    def _seek(self) -> None:
        """Select the sought track; if it is not read, read on, or say that it is gone."""
        if self._sought is None or not self._has_answer:
            return
        listing = self.query_one("#track-list", Listing)
        places = [at for at, row in enumerate(listing.rows) if row.key == self._sought]
        if not places and self._cursor is not None and len(listing.rows) < _SOUGHT_ROWS:
            self._read_on()
            return
        if places:
            listing.cursor = places[0]
        else:
            self.notify(f"The track {self._sought} is not in this list any more.", timeout=4)
        self._sought = None

    def search_similar(self, track: str) -> None:
        """Search for tracks similar to `task:track`, nearest first; escape goes back."""
        self._keep_list()
        self._search_like(None)
        self.query_one(QueryLine).set_text(f"like:{track}")

    def _search_like(self, words: str | None) -> None:
        """Search for what looks like the words, nearest first; None: not any more."""
        if words is not None or (self.search is not None and self.search.like_text is not None):
            now = self.search or TrackSearch()
            self.search = msgspec.structs.replace(now, like_text=words)

    def _keep_list(self) -> None:
        """Keep the list, for escape, unless it is one by likeness itself."""
        if self.search is not None and not self.search.is_by_likeness:
            key = self.query_one("#track-list", Listing).key
            self._before = Listed(self.search, self.found, self._cursor, key)

    def _go_back(self, before: Listed) -> None:
        """List what was listed before, with its cursor."""
        self._before = None
        self.set_reactive(TracksTab.search, before.search)
        self.query_one(QueryLine).set_text(before.search.text)
        self.workers.cancel_group(self, "search")
        self._show_search(before.search)
        self.found, self._cursor = before.found, before.cursor
        self._has_answer = True
        self.post_message(PlaceChanged())
        self._draw()
        listing = self.query_one("#track-list", Listing)
        places = [at for at, row in enumerate(listing.rows) if row.key == before.key]
        listing.cursor = places[0] if places else 0

    # -- incoming data

    def watch_search(self, search: TrackSearch | None) -> None:
        if search is None:
            return
        self.found = []
        self._cursor = None
        self._has_answer = False
        self._show_search(search)
        self._draw()
        self._search(search, None)
        self.post_message(PlaceChanged())

    def _show_search(self, search: TrackSearch) -> None:
        listing = self.query_one("#track-list", Listing)
        self._show_columns(search)
        listing.say_empty("reading …")
        self.query_one("#track-windows", Chips).show(frozenset({search.window}))
        self.query_one("#track-count", Lines).show([])
        like = self.query_one("#track-like", Lines)
        like.set_class(search.like_text is not None, "-shown")
        words = search.like_text or ""
        like.show([(("like ", "dim"), (words, "accent!"), ("   esc goes back", "dim"))])

    def _show_columns(self, search: TrackSearch) -> None:
        likeness = (LIKENESS,) if search.is_by_likeness else ()
        listing = self.query_one("#track-list", Listing)
        listing.columns = (*likeness, *self._columns.columns)

    @property
    def columns(self) -> tuple[str, ...]:
        return self._columns.names

    def choose_columns(self, names: Sequence[str]) -> None:
        self._columns = ColumnChoice(COLUMNS, names)
        self._show_columns(self.search or TrackSearch())
        self._draw()

    def on_tracks_read(self, message: TracksRead) -> None:
        if message.search != self.search:
            return
        if message.place == "again":
            self._show_count(message.page)
            if not self._take_newer(message.page):
                return
        else:
            self.found = [*(() if message.place == "first" else self.found), *message.page.data]
            self._cursor = message.page.next_cursor
            self._more_asked = False
            self._has_answer = True
        self._show_count(message.page)
        self.query_one("#track-list", Listing).say_empty("No track fits.")
        self._draw()
        self._seek()

    def _take_newer(self, page: TrackPage) -> bool:
        """Merge a newer first page with the found tracks; return whether anything changed."""
        fresh = {track_key(track) for track in page.data}
        older = [track for track in self.found if track_key(track) not in fresh]
        newer = [*page.data, *older] if page.next_cursor else page.data
        changed = newer != self.found
        self.found = newer
        return changed

    def _show_count(self, page: TrackPage) -> None:
        if page.counts is UNSET:
            return
        text = counts_text(page.counts, " tracks")
        self.query_one("#track-count", Lines).show([((text, "dim"),)])

    def on_search_failed(self, message: SearchFailed) -> None:
        self._more_asked = False
        self.notify(message.why, title="The search failed", severity="error")
        if self._before is not None and self.search is not None and self.search.is_by_likeness:
            self._go_back(self._before)  # the track has no vector, for example
        else:
            self.query_one("#track-list", Listing).say_empty(message.why)

    def _draw(self) -> None:
        now = self.backend.clock.now()
        by_likeness = self.search is not None and self.search.is_by_likeness
        rows = []
        for track in self.found:
            row = track_row(track, now)
            likeness = row.cells[-1:] if by_likeness else ()
            rows.append(row._replace(cells=(*likeness, *self._columns.of(row).cells)))
        self.query_one("#track-list", Listing).show(rows)

    @property
    def selected(self) -> TrackResource | None:
        key = self.query_one("#track-list", Listing).key
        return next((track for track in self.found if track_key(track) == key), None)

    # -- requests to the api

    @work(exclusive=True, group="search")
    async def _search(self, search: TrackSearch, cursor: str | None) -> None:
        try:
            page: TrackPage = await self.backend.ask(search.call(self.backend.clock.now(), cursor))
        except ConsoleError as exc:
            self.post_message(SearchFailed(str(exc)))
        else:
            self.post_message(TracksRead(search, page, "first" if cursor is None else "next"))

    @work(exclusive=True, group="poll")
    async def _poll(self) -> None:
        """Repeat the search periodically: tracks are indexed some seconds after a task's end."""
        while True:
            await asyncio.sleep(max(self._poll_s, self.backend.link.pause_s))
            search = self.search
            if search is None or search.is_by_likeness:
                continue
            try:
                page = await self.backend.ask(search.call(self.backend.clock.now(), None))
            except ConsoleError:
                continue  # already shown by the search, or by the connection banner
            self.post_message(TracksRead(search, page, "again"))

    # -- user input

    @on(Listing.NearEnd, "#track-list")
    def _near_end(self) -> None:
        self._read_on()

    def _read_on(self) -> None:
        """Read the next page, if there is one."""
        if self._cursor is not None and not self._more_asked and self.search is not None:
            self._more_asked = True
            self._search(self.search, self._cursor)

    @on(Listing.Moved, "#track-list")
    def _moved(self, message: Listing.Moved) -> None:
        if message.by_person:
            self._sought = None
        self._details.show(self.selected)

    @on(Listing.Chosen, "#track-list")
    def _chosen(self, message: Listing.Chosen) -> None:
        self.post_message(OpenTask(message.key.rpartition(":")[0]))

    @on(QueryLine.Changed)
    def _query_changed(self, message: QueryLine.Changed) -> None:
        now = self.search or TrackSearch()
        if message.text != now.text:
            self.search = msgspec.structs.replace(now, text=message.text)

    @on(QueryLine.Entered)
    def _query_entered(self) -> None:
        self.focus_now(self.query_one("#track-list", Listing))

    @on(Chips.Clicked, "#track-windows")
    def _window_clicked(self, message: Chips.Clicked) -> None:
        self.search = self._typed(message.name)

    def action_next_window(self) -> None:
        names = list(WINDOWS)
        now = self.search.window if self.search else names[-1]
        self.search = self._typed(names[(names.index(now) + 1) % len(names)])

    def _typed(self, window: str) -> TrackSearch:
        like_text = self.search.like_text if self.search else None
        return TrackSearch(self.query_one(QueryLine).text, window, like_text)

    def action_search(self) -> None:
        self.query_one(QueryLine).edit()

    def action_clear(self) -> None:
        if self._before is not None and self.search is not None and self.search.is_by_likeness:
            self._go_back(self._before)
        else:
            self.search = TrackSearch()
            self.query_one(QueryLine).set_text("")
        self.focus_now(self.query_one("#track-list", Listing))

    def action_similar(self) -> None:
        track = self.selected
        if track is None:
            return
        if track.feature_digest is None:
            self.notify(
                "It has no feature vector: its task had no feature step.",
                title="Nothing to compare",
                severity="warning",
            )
            return
        self.search_similar(track_key(track))

    def action_words(self) -> None:
        def answered(words: str | None) -> None:
            if words and words.strip():
                self._keep_list()
                line = self.query_one(QueryLine)
                if TrackSearch(line.text).is_by_likeness:  # only one thing to be like
                    line.set_text("")
                self._search_like(words.strip())

        before = self.search.like_text if self.search else None
        self.app.push_screen(
            PromptScreen("What does it look like?", before or "", hint="such as: red truck"),
            answered,
        )

    def action_copy(self) -> None:
        if self.selected is not None:
            key = track_key(self.selected)
            self.post_message(CopyText(key, "Copied the track", key))

    def action_export(self) -> None:
        found = tuple(self.found)

        async def listed() -> tuple[TrackResource, ...]:
            return found

        title = f"Export the {len(found)} listed tracks to a file: .csv or .json"
        ask_export(self, title, "tracks.csv", listed)

    def action_resize(self, n: int) -> None:
        self.query_one(Splitter).move(n)
