"""Details of the selected track: attributes, trajectory, and best crop."""

import asyncio
from collections import OrderedDict

import msgspec
from textual import on, work
from textual.widget import Widget

from api.contract.resources import TrackResource
from console.client import calls
from console.errors import ApiProblem, ConsoleError
from console.tui.api_session import ApiSession
from console.tui.drawing.frame_image import Shown, crop, read_jpeg
from console.tui.messages import PictureRead, TrailRead
from console.tui.view_models.task_list import source_name
from console.tui.view_models.track_search import track_facts, track_key
from console.tui.view_models.trajectories import TrailFold
from console.tui.widgets.canvas import Lines
from console.tui.widgets.preview import Preview
from console.tui.widgets.table import Listing
from console.tui.widgets.trajectory import Trajectory

_TRAIL_BYTES = 32 * 1024 * 1024
_WINDOW_BYTES = 1024 * 1024
_KEPT_TRAILS = 4
_CROP_PX = 1280
_SETTLE_S = 0.15


class TrackTrail(Widget):
    """Shows `selected` after a short delay; has an LRU cache of the trajectories of 4 tasks."""

    backend: ApiSession

    def __init__(self, *, id: str | None = None, classes: str | None = None) -> None:  # noqa: A002 - Textual's name
        super().__init__(id=id, classes=classes)
        self._trails: OrderedDict[str, TrailFold] = OrderedDict()
        self._sources: dict[str, str] = {}

    @property
    def selected(self) -> TrackResource | None:
        return None

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

    @work(exclusive=True, group="trail")
    async def _show_track(self, track: TrackResource) -> None:
        """Read the track's trajectory from its task's log, then the frame of its best target."""
        await asyncio.sleep(_SETTLE_S)  # debounce: a held arrow key moves over many tracks
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
