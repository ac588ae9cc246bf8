"""Mix-in of the Live tab: hold, step and seek in a stream, and preview of the shown frame."""

import asyncio

import msgspec
from textual import work
from textual.reactive import reactive
from textual.widget import Widget

from console.client import calls
from console.client.curl import curl
from console.errors import ApiProblem, ConsoleError
from console.tui.api_session import ApiSession
from console.tui.drawing.formatting import grouped
from console.tui.drawing.frame_image import Shown, read_jpeg
from console.tui.messages import PictureRead
from console.tui.screens.prompt import PromptScreen
from console.tui.view_models.live_stream import LiveFold, LiveSnapshot, read_line
from console.tui.view_models.seek_window import WINDOW_BYTES, SeekWindow, hold_last, parse_place
from console.tui.widgets.preview import Preview
from streamproc.contract.chunk import Target

PREVIEW_PX = 960
_PREVIEW_PAUSE_S = 0.4
_AGAIN_S = 2.0
_MAX_WINDOWS = 64


class LiveSeek(Widget):
    """Seek and preview. `held` is None while the view is live. Previews are read one at a time."""

    held: reactive[SeekWindow | None] = reactive(None)
    with_preview: reactive[bool] = reactive(True)

    backend: ApiSession
    fold: LiveFold
    snapshot: reactive[LiveSnapshot]
    task_id: reactive[str | None]

    def draw(self) -> None:
        """Draw everything that depends on the shown position."""

    def looked_at(self) -> tuple[tuple[Target, ...], int | None]:
        return (), None

    def watch_held(self) -> None:
        if self.is_mounted:
            self.draw()

    # -- positions

    def hold_byte(self, offset: int) -> None:
        """Hold the event at byte `offset` if its line is loaded."""
        held = SeekWindow(self.held.lines if self.held else self.snapshot.lines, 0).at_byte(offset)
        if held is not None:
            self.held = held

    def action_hold(self) -> None:
        self.held = None if self.held is not None else hold_last(self.snapshot.lines)

    def action_live(self) -> None:
        self.held = None

    def action_step(self, n: int) -> None:
        held = self.held or hold_last(self.snapshot.lines)
        if held is None:
            return
        moved = held.moved(n)
        if moved is not None:
            self.held = moved
        elif self.task_id is not None:
            self._step_out(self.task_id, held, n)

    def action_seek(self) -> None:
        def answered(text: str | None) -> None:
            if text and self.task_id is not None:
                self._seek(self.task_id, *parse_place(text))

        end = grouped(self.snapshot.offset)
        self.app.push_screen(
            PromptScreen(
                f"Seek in the log (bytes 0 to {end})", hint="48213 or f120", check=parse_place
            ),
            answered,
        )

    def action_copy_event(self) -> None:
        held = self.held or hold_last(self.snapshot.lines)
        if held is not None:
            self.app.copy_to_clipboard(held.line.data.decode())
            self.notify(f"The event at byte {grouped(held.line.start)}", title="Copied")

    def action_copy_curl(self) -> None:
        if self.task_id is not None:
            offset = self.held.line.start if self.held else self.snapshot.offset
            call = calls.stream(self.task_id, offset)
            self.app.copy_to_clipboard(curl(call, self.backend.endpoint.url, stream=True))
            self.notify(
                f"The stream from byte {grouped(offset)} on", title="Copied the curl command"
            )

    @work(exclusive=True, group="seek")
    async def _seek(self, task_id: str, kind: str, number: int) -> None:
        held = self.held or hold_last(self.snapshot.lines)
        near = held and (held.at_byte(number) if kind == "byte" else held.at_frame(number))
        if near is not None:
            self.held = near
            return
        if kind == "byte":
            window = await self._window(task_id, number)
            if window is not None:
                self.held = window
            return
        start = self.fold.index.start_before(number)
        for _ in range(_MAX_WINDOWS):
            window = await self._window(task_id, start)
            if window is None:
                return
            found = window.at_frame(number)
            if found is not None:
                self.held = found
                return
            start = window.lines[-1].end
        self.notify(f"Frame {number} is far from any known place.", severity="warning")

    @work(exclusive=True, group="seek")
    async def _step_out(self, task_id: str, held: SeekWindow, n: int) -> None:
        """Read the window before or after the held one, and hold its nearest event."""
        if n > 0:
            window = await self._window(task_id, held.lines[-1].end, at_end="The log ends here.")
            if window is not None:
                self.held = window
            return
        first = held.lines[0].start
        if first == 0:
            self.held = SeekWindow(held.lines, 0)
            return
        window = await self._window(task_id, max(0, first - WINDOW_BYTES // 2))
        here = None if window is None else window.at_byte(first - 1)
        if here is not None:
            self.held = here

    async def _window(
        self, task_id: str, offset: int, at_end: str = "The log is shorter."
    ) -> SeekWindow | None:
        try:
            events = await self.backend.read_log(task_id, offset, WINDOW_BYTES)
            lines = tuple(read_line(event) for event in events)
        except (ConsoleError, msgspec.DecodeError) as exc:
            beyond = isinstance(exc, ApiProblem) and exc.status in {409, 416}
            self.notify(at_end if beyond else str(exc), severity="warning")
            return None
        if not lines:
            self.notify(at_end, severity="warning")
            return None
        return SeekWindow(lines, 0)

    # -- preview

    def look(self) -> None:
        """Start to show previews of the shown frame, and of the frames that follow."""
        if self.with_preview and self.task_id is not None:
            self._look(self.task_id)

    def stop_looking(self) -> None:
        self.workers.cancel_group(self, "look")

    def forget_picture(self) -> None:
        self.query_one(Preview).say("The picture comes with the first frame.")

    def action_preview(self) -> None:
        self.with_preview = not self.with_preview
        if self.with_preview:
            self.look()
        else:
            self.stop_looking()
            self.query_one(Preview).say("The preview is off: p turns it on.")

    def on_picture_read(self, message: PictureRead) -> None:
        if message.key != self.task_id or not self.with_preview:
            return
        preview = self.query_one(Preview)
        if message.shown is not None:
            preview.show(message.shown)
        elif message.is_lasting or preview.shown is None:
            preview.say(message.why)

    @work(exclusive=True, group="look")
    async def _look(self, task_id: str) -> None:
        pictured: int | None = None
        while True:
            targets, frame = self.looked_at()
            if frame is None or frame == pictured:
                await asyncio.sleep(_PREVIEW_PAUSE_S / 4)
                continue
            pause_s = _PREVIEW_PAUSE_S
            try:
                found = await self.backend.read_frame(task_id, frame, PREVIEW_PX)
                shown = Shown(
                    frame, read_jpeg(found.jpeg), found.width_px, found.height_px, targets
                )
            except (ConsoleError, ValueError) as exc:
                lasting = isinstance(exc, ApiProblem) and exc.status in {404, 410, 422}
                why = exc.detail if isinstance(exc, ApiProblem) else str(exc)
                self.post_message(PictureRead(task_id, None, why, is_lasting=lasting))
                if lasting:
                    return
                pause_s = _AGAIN_S
            else:
                pictured = frame
                self.post_message(PictureRead(task_id, shown))
            await asyncio.sleep(pause_s)
