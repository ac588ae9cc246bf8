"""One pane of the wall: a task's picture, its counts and its rate."""

from typing import Any

from textual import events
from textual.app import ComposeResult
from textual.containers import Vertical
from textual.message import Message

from api.contract.tasks import TaskResource
from console.errors import ApiProblem, ConsoleError
from console.tui.api_session import ApiSession
from console.tui.drawing.frame_image import Shown, read_jpeg
from console.tui.drawing.styled_text import Span
from console.tui.log_follower import follow_log
from console.tui.screens.live_preview import latest_shown
from console.tui.view_models.health import Health
from console.tui.view_models.live_stream import LiveFold, LiveSnapshot
from console.tui.view_models.merged_log import TaskLog
from console.tui.view_models.stream_stall import stream_stall
from console.tui.view_models.task_list import TaskView, parse_time
from console.tui.widgets.canvas import Lines
from console.tui.widgets.preview import Preview
from console.tui.widgets.wall_rendering import pane_foot, pane_head

_AGAIN_S = 3.0
_LATEST_S = 2.0
_LASTING = {404, 410, 422}
_MIN_PX, _MAX_PX = 160, 640
_PX_PER_CELL = 4
KEPT_LINES = 500
_KEPT_BYTES = 512 * 1024


class WallPane(Vertical, can_focus=True):
    """Follows one task at a time: one stream, of which sums and the last events are kept."""

    DEFAULT_CSS = """
    WallPane {
        height: 1fr; width: 1fr;
        & > .pane-head { height: 1; background: $panel; }
        & > Preview { height: 1fr; }
        & > .pane-foot { height: 2; }
        &:focus > .pane-head { background: $primary 40%; }
        &:hover > .pane-head { background: $primary 20%; }
    }
    """

    class Chosen(Message):
        """The pane was clicked."""

        def __init__(self, pane: "WallPane") -> None:
            super().__init__()
            self.pane = pane

    def __init__(self, number: int, backend: ApiSession, *, image_widget: type[Any] | None) -> None:
        super().__init__(id=f"pane-{number}")
        self.number = number
        self.task_id: str | None = None
        self.snapshot = LiveSnapshot()
        self._backend = backend
        self._fold = LiveFold(max_lines=KEPT_LINES, max_line_bytes=_KEPT_BYTES)
        self._head = Lines(classes="pane-head")
        self._preview = Preview(image_widget=image_widget)
        self._foot = Lines(classes="pane-foot")
        self._view: TaskView | None = None
        self._note: Span | None = None
        self._moved_s = 0.0
        self._asked_s = float("-inf")
        self._pictured_s = 0.0
        self._etag: str | None = None
        self._is_pictured_for_good = False
        """No picture will come any more: the source is gone."""

    def compose(self) -> ComposeResult:
        yield self._head
        yield self._preview
        yield self._foot

    def follow(self, task_id: str | None) -> None:
        """Follow another task, or none; the stream before is closed."""
        if task_id == self.task_id:
            return
        self.workers.cancel_group(self, "follow")
        self.task_id = task_id
        self._fold = LiveFold(max_lines=KEPT_LINES, max_line_bytes=_KEPT_BYTES)
        self.snapshot = LiveSnapshot()
        self._view = self._note = None
        self._moved_s = self._backend.clock.monotonic_s()
        self._asked_s = float("-inf")
        self._is_pictured_for_good = False
        self._preview.say("" if task_id is None else "no picture yet")
        if task_id is not None:
            self.run_worker(self._follow(task_id, self._fold), group="follow", exclusive=True)

    def take_task(self, task: TaskResource) -> None:
        """Take a newer state of the task."""
        if task.id == self.task_id:
            self._view = TaskView(task)

    def task_log(self) -> TaskLog | None:
        """Return the last events of the stream; None while no task, or not its start, is known."""
        started = None if self._view is None else parse_time(self._view.task.started_at)
        if self.task_id is None or started is None:
            return None
        return TaskLog(
            self.task_id,
            self.number,
            round(started.timestamp() * 1000),
            self.snapshot.lines,
            self.snapshot.n_lost_lines,
        )

    def draw(self, health: Health) -> None:
        """Draw the stream as it is now; `health` explains why nothing comes."""
        if self.task_id is None:
            self._head.show([((f"{self.number} free", "faint"),)])
            self._foot.show([])
            return
        now_s = self._backend.clock.monotonic_s()
        if self._fold.offset != self.snapshot.offset:
            self._moved_s = now_s
        self.snapshot = snapshot = self._fold.snapshot(now_s)
        self._head.show([pane_head(self.number, self.task_id, self._view, self.size.width)])
        shown = self._preview.shown
        captured = None if shown is None else shown.captured
        age_s = now_s - self._pictured_s
        if captured is not None:
            age_s = max(0.0, (self._backend.clock.now() - captured).total_seconds())
        self._foot.show(
            pane_foot(
                self._view,
                snapshot,
                None if shown is None else shown.frame,
                age_s,
                self._stall(health, now_s) or self._note,
                self.size.width,
            )
        )

    # -- its picture, which the wall asks for

    def picture_due_s(self) -> float | None:
        """Return when a picture was asked for last, for who comes first; None: none is needed."""
        shown, now_s = self._preview.shown, self._backend.clock.monotonic_s()
        if self.task_id is None or not self.snapshot.n_chunks or self._is_pictured_for_good:
            return None
        if self.snapshot.capture.is_live:
            return self._asked_s if now_s - self._asked_s >= _LATEST_S else None
        if shown is not None and shown.frame == self.snapshot.last_frame:
            return None
        if shown is None and now_s - self._asked_s < _AGAIN_S:
            return None  # it failed, or is under way
        return self._asked_s

    async def read_picture(self) -> None:
        """Read the picture of the last frame, as large as the pane shows it.

        Of a live source it is the last picture that its worker stored, if that is another one.
        """
        task_id, is_live = self.task_id, self.snapshot.capture.is_live
        if task_id is None:
            return
        self._asked_s = self._backend.clock.monotonic_s()
        try:
            shown = await (self._latest(task_id) if is_live else self._last_frame(task_id))
        except (ConsoleError, ValueError) as exc:
            if task_id == self.task_id:
                is_lasting = isinstance(exc, ApiProblem) and exc.status in _LASTING
                self._is_pictured_for_good = is_lasting and not is_live
                if is_lasting or self._preview.shown is None:
                    self._preview.say(exc.detail if isinstance(exc, ApiProblem) else str(exc))
            return
        if task_id == self.task_id and shown is not None:
            self._pictured_s = self._backend.clock.monotonic_s()
            self._preview.show(shown)

    async def _last_frame(self, task_id: str) -> Shown:
        snapshot = self.snapshot
        width_px = max(_MIN_PX, min(_MAX_PX, _PX_PER_CELL * self.size.width))
        found = await self._backend.read_frame(task_id, snapshot.last_frame, width_px)
        image = read_jpeg(found.jpeg)
        return Shown(snapshot.last_frame, image, found.width_px, found.height_px, snapshot.targets)

    async def _latest(self, task_id: str) -> Shown | None:
        """Return the last picture, None if it is shown. The targets of its frame are not kept."""
        is_shown = self._preview.shown is not None
        found = await self._backend.read_latest(task_id, self._etag if is_shown else None)
        if found is None:
            return None
        self._etag = found.etag
        return latest_shown(found, ())

    # -- its stream

    async def _follow(self, task_id: str, fold: LiveFold) -> None:
        def tell(note: Span) -> None:
            if task_id == self.task_id:
                self._note = note

        async for note in follow_log(self._backend, task_id, fold, tell):
            if task_id == self.task_id:
                self._note = note if note is not None and note[1] == "bad" else None

    def _stall(self, health: Health, now_s: float) -> Span | None:
        idle_s = now_s - self._moved_s
        return stream_stall(self.snapshot, self._view, idle_s, health, self._backend.link)

    def on_click(self, event: events.Click) -> None:
        event.stop()
        self.post_message(self.Chosen(self))
