"""The Tracks tab: search over all tasks, details of a track, and similarity search."""

import asyncio
from typing import Any, ClassVar, NamedTuple

from textual import on, work
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Horizontal
from textual.reactive import reactive
from textual.widgets import Input, Label

from api.contract.resources import TrackPage, TrackResource
from console.errors import ConsoleError
from console.tui.api_session import ApiSession
from console.tui.keys import TRACKS, bindings
from console.tui.messages import OpenTask, SearchFailed, TracksRead
from console.tui.screens.export_file import ask_export
from console.tui.screens.tab import Tab
from console.tui.screens.track_details import TrackDetails
from console.tui.view_models.submit_form import FormError
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
from console.tui.widgets.splitter import Splitter
from console.tui.widgets.table import Listing

_FIELDS = (
    ("class_name", "class", "any"),
    ("text", "text", "any"),
    ("min_dwell", "dwell ≥", "s"),
    ("min_confidence", "conf ≥", "0-1"),
)
_LIKENESS_FIRST = (LIKENESS, *COLUMNS)


class Listed(NamedTuple):
    """A list to go back to: its search, its tracks, the next page, and the cursor's row."""

    search: TrackSearch
    found: list[TrackResource]
    cursor: str | None
    key: str | None


class TracksTab(Tab):
    """Tracks tab; searches when first shown and when a field is submitted; polls while shown."""

    BINDINGS: ClassVar[list[BindingType]] = list(bindings(TRACKS))

    search: reactive[TrackSearch | None] = reactive(None)

    def __init__(
        self, backend: ApiSession, poll_s: float, *, image_widget: type[Any] | None
    ) -> None:
        super().__init__(backend, "tracks")
        self._poll_s = poll_s
        self.found: list[TrackResource] = []
        self._details = TrackDetails(backend, image_widget=image_widget)
        self._cursor: str | None = None
        self._more_asked = False
        self._before: Listed | None = None
        """What was listed before the similarity search."""

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

    def search_similar(self, track: str) -> None:
        """Search for tracks similar to `task:track`, nearest first; escape goes back."""
        if self.search is not None and self.search.similar_to is None:
            key = self.query_one("#track-list", Listing).key
            self._before = Listed(self.search, self.found, self._cursor, key)
        self.search = TrackSearch(similar_to=track)

    def _go_back(self, before: "Listed") -> None:
        """List what was listed before, with its cursor."""
        self._before = None
        self.set_reactive(TracksTab.search, before.search)
        self.workers.cancel_group(self, "search")
        self._show_search(before.search)
        self.found, self._cursor = before.found, before.cursor
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
        self._show_search(search)
        self._draw()
        self._search(search, None)

    def _show_search(self, search: TrackSearch) -> None:
        listing = self.query_one("#track-list", Listing)
        listing.columns = _LIKENESS_FIRST if search.similar_to else COLUMNS
        listing.say_empty("reading …")
        self.query_one("#track-windows", Chips).show(frozenset({search.window}))
        like = self.query_one("#track-like", Lines)
        like.set_class(search.similar_to is not None, "-shown")
        like.show(
            [(("like ", "dim"), (search.similar_to or "", "accent!"), ("   esc goes back", "dim"))]
        )

    def on_tracks_read(self, message: TracksRead) -> None:
        if message.search != self.search:
            return
        if message.place == "again":
            if not self._take_newer(message.page):
                return
        else:
            self.found = [*(() if message.place == "first" else self.found), *message.page.data]
            self._cursor = message.page.next_cursor
            self._more_asked = False
        self.query_one("#track-list", Listing).say_empty("No track fits.")
        self._draw()

    def _take_newer(self, page: TrackPage) -> bool:
        """Merge a newer first page with the found tracks; return whether anything changed."""
        fresh = {track_key(track) for track in page.data}
        older = [track for track in self.found if track_key(track) not in fresh]
        newer = [*page.data, *older] if page.next_cursor else page.data
        changed = newer != self.found
        self.found = newer
        return changed

    def on_search_failed(self, message: SearchFailed) -> None:
        self._more_asked = False
        self.notify(message.why, title="The search failed", severity="error")
        if self._before is not None and self.search is not None and self.search.similar_to:
            self._go_back(self._before)  # the track has no vector, for example
        else:
            self.query_one("#track-list", Listing).say_empty(message.why)

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

    # -- requests to the api

    @work(exclusive=True, group="search")
    async def _search(self, search: TrackSearch, cursor: str | None) -> None:
        try:
            page: TrackPage = await self.backend.ask(search.call(self.backend.clock.now(), cursor))
        except FormError as exc:
            self.post_message(SearchFailed("; ".join(exc.errors.values())))
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
            if search is None or search.similar_to is not None:
                continue
            try:
                page = await self.backend.ask(search.call(self.backend.clock.now(), None))
            except (FormError, ConsoleError):
                continue  # already shown by the search, or by the connection banner
            self.post_message(TracksRead(search, page, "again"))

    # -- user input

    @on(Listing.NearEnd, "#track-list")
    def _near_end(self) -> None:
        if self._cursor is not None and not self._more_asked and self.search is not None:
            self._more_asked = True
            self._search(self.search, self._cursor)

    @on(Listing.Moved, "#track-list")
    def _moved(self) -> None:
        self._details.show(self.selected)

    @on(Listing.Chosen, "#track-list")
    def _chosen(self, message: Listing.Chosen) -> None:
        self.post_message(OpenTask(message.key.rpartition(":")[0]))

    @on(Input.Submitted)
    def _entered(self) -> None:
        self.search = self._typed(self.search.window if self.search else "any time")
        self.focus_now(self.query_one("#track-list", Listing))

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
        self.focus_now(self.query_one(f"#track-{_FIELDS[0][0]}", Input))

    def action_clear(self) -> None:
        if self._before is not None and self.search is not None and self.search.similar_to:
            self._go_back(self._before)
            self.focus_now(self.query_one("#track-list", Listing))
            return
        for name, _, _ in _FIELDS:
            self.query_one(f"#track-{name}", Input).value = ""
        self.search = TrackSearch()
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

    def action_copy(self) -> None:
        if self.selected is not None:
            self.app.copy_to_clipboard(track_key(self.selected))
            self.notify(track_key(self.selected), title="Copied the track")

    def action_export(self) -> None:
        found = tuple(self.found)

        async def listed() -> tuple[TrackResource, ...]:
            return found

        title = f"Export the {len(found)} listed tracks to a file: .csv or .json"
        ask_export(self, title, "tracks.csv", listed)

    def action_resize(self, n: int) -> None:
        self.query_one(Splitter).move(n)
