"""Preview of the frame that the Live tab shows, and of the frames that follow."""

import asyncio
from collections.abc import Callable
from typing import Any

from textual import work

from console.errors import ApiProblem, ConsoleError
from console.tui.api_session import ApiSession
from console.tui.drawing.formatting import grouped
from console.tui.drawing.frame_image import Shown, read_jpeg
from console.tui.drawing.styled_text import Line
from console.tui.messages import PictureRead
from console.tui.widgets.preview import Preview
from streamproc.contract.chunk import Target

PREVIEW_PX = 960
_PAUSE_S = 0.4
_AGAIN_S = 2.0
_OLD_S = 2.0
"""A picture is that old before its age is shown: the next one is usually on its way."""

Position = tuple[tuple[Target, ...], int | None]
"""Targets and index of the shown frame; None before the first one."""


class LivePreview(Preview):
    """Reads the image of `shown_position()` whenever it changes, one image at a time."""

    def __init__(
        self,
        backend: ApiSession,
        shown_position: Callable[[], Position],
        *,
        image_widget: type[Any] | None,
        id: str | None = None,  # noqa: A002 - Textual's name
    ) -> None:
        super().__init__(image_widget=image_widget, id=id)
        self._backend = backend
        self._shown_position = shown_position
        self._task_id: str | None = None
        self._is_on = True
        self._read_s = 0.0

    def follow(self, task_id: str) -> None:
        """Show the frames of another task."""
        self._task_id = task_id
        self.say("The picture comes with the first frame.")
        self.caption()
        self.start()

    def start(self) -> None:
        """Start to read images; the widget is shown."""
        if self._is_on and self._task_id is not None:
            self._look(self._task_id)

    def stop(self) -> None:
        """Read no more images; the widget is hidden."""
        self.workers.cancel_group(self, "look")

    def toggle(self) -> None:
        """Turn the preview off, or on."""
        self._is_on = not self._is_on
        if self._is_on:
            self.start()
        else:
            self.stop()
            self.say("The preview is off: p turns it on.")
            self.caption()

    def caption(self) -> None:
        """Say which frame the picture is, and its age if the targets are of another one."""
        shown, (_, wanted) = self.shown, self._shown_position()
        if shown is None:
            self.say_below(())
            return
        line: Line = ((f"frame {grouped(shown.frame)}", "dim"),)
        age_s = self._backend.clock.monotonic_s() - self._read_s
        if wanted is not None and wanted != shown.frame and age_s >= _OLD_S:
            line = (
                (f"frame {grouped(shown.frame)}, {age_s:.0f} s old", "warn"),
                (f"; the targets are of frame {grouped(wanted)}", "dim"),
            )
        self.say_below(line)

    def on_picture_read(self, message: PictureRead) -> None:
        message.stop()
        if message.key != self._task_id or not self._is_on:
            return
        if message.shown is not None:
            self._read_s = self._backend.clock.monotonic_s()
            self.show(message.shown)
            self.caption()
        elif message.is_lasting or self.shown is None:
            self.say(message.why)
            self.caption()

    @work(exclusive=True, group="look")
    async def _look(self, task_id: str) -> None:
        pictured: int | None = None
        while True:
            targets, frame = self._shown_position()
            if frame is None or frame == pictured:
                await asyncio.sleep(_PAUSE_S / 4)
                continue
            pause_s = _PAUSE_S
            if pictured is None and self.shown is None:
                self.say(f"Frame {grouped(frame)} is being read …")
            try:
                found = await self._backend.read_frame(task_id, frame, PREVIEW_PX)
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
