"""Details of the selected track: attributes, trajectory, and best crop."""

import asyncio
from typing import Any

import msgspec
from cachetools import LRUCache
from textual import work
from textual.app import ComposeResult
from textual.containers import Vertical

from api.contract.tracks import TrackResource
from console.errors import ApiProblem, ConsoleError
from console.tui.api_session import ApiSession
from console.tui.drawing.frame_image import Shown, crop, read_jpeg
from console.tui.messages import PictureRead, TrackPathRead
from console.tui.view_models.track_search import track_facts, track_key
from console.tui.view_models.trajectories import TrackPaths
from console.tui.widgets.canvas import Lines
from console.tui.widgets.preview import Preview
from console.tui.widgets.trajectory import Trajectory

_TRAIL_BYTES = 32 * 1024 * 1024
_WINDOW_BYTES = 1024 * 1024
_KEPT_TRAILS = 4
_CROP_PX = 1280
_SETTLE_S = 0.15


class TrackDetails(Vertical):
    """Shows one track after a short delay; caches the trajectories of 4 tasks."""

    def __init__(self, backend: ApiSession, *, image_widget: type[Any] | None) -> None:
        super().__init__(id="track-details")
        self._backend = backend
        self._track: TrackResource | None = None
        self._crop = Preview(image_widget=image_widget, id="crop")
        self._trails: LRUCache[str, TrackPaths] = LRUCache(_KEPT_TRAILS)

    def compose(self) -> ComposeResult:
        yield self._crop
        yield Trajectory(id="trajectory")
        yield Lines(id="track-facts")

    def on_mount(self) -> None:
        self.show(None)

    def show(self, track: TrackResource | None) -> None:
        """Show the track's attributes now, its trajectory and crop as soon as they are read."""
        self._track = track
        self._crop.say("Choose a track." if track is None else "reading …")
        self.query_one(Trajectory).show(None, (16, 9))
        if track is None:
            self.query_one("#track-facts", Lines).show([])
            return
        self._draw_facts(track)
        self._read(track)

    def stop(self) -> None:
        """Read nothing more; the widget is hidden."""
        self.workers.cancel_group(self, "trail")

    def _draw_facts(self, track: TrackResource) -> None:
        self.query_one("#track-facts", Lines).show(track_facts(track))

    @work(exclusive=True, group="trail")
    async def _read(self, track: TrackResource) -> None:
        """Read the track's trajectory from its task's log, then the frame of its best target."""
        await asyncio.sleep(_SETTLE_S)  # debounce: a held arrow key moves over many tracks
        key = track_key(track)
        try:
            trail = (await self._trails_of(track.task)).trail(track.track_id)
            if trail is None:
                self.post_message(PictureRead(key, None, "The task's log has no such track."))
                return
            found = await self._backend.read_frame(track.task, trail.best_frame, _CROP_PX)
            size_px = (found.width_px, found.height_px)
            frame = Shown(trail.best_frame, read_jpeg(found.jpeg), *size_px, ())
        except (ConsoleError, ValueError, msgspec.DecodeError) as exc:
            why = exc.detail if isinstance(exc, ApiProblem) else str(exc)
            self.post_message(PictureRead(key, None, why))
        else:
            self.post_message(TrackPathRead(key, trail, size_px))
            self.post_message(PictureRead(key, crop(frame, trail.best)))

    def on_picture_read(self, message: PictureRead) -> None:
        message.stop()
        track = self._track
        if track is None or message.key != track_key(track):
            return
        self._draw_facts(track)
        if message.shown is None:
            self._crop.say(message.why)
        else:
            self._crop.show(message.shown)

    def on_track_path_read(self, message: TrackPathRead) -> None:
        message.stop()
        if self._track is not None and message.key == track_key(self._track):
            self.query_one(Trajectory).show(message.trail, message.size_px)

    async def _trails_of(self, task_id: str) -> TrackPaths:
        known = self._trails.get(task_id)
        if known is not None:
            return known
        fold, offset = TrackPaths(), 0
        while offset < _TRAIL_BYTES:
            events = await self._backend.read_log(task_id, offset, _WINDOW_BYTES)
            if not events:
                break
            fold.apply(events)
            offset = events[-1].end
        self._trails[task_id] = fold
        return fold
