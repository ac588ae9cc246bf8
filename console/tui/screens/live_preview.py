"""Preview of the frame that the Live tab shows, and of the frames that follow.

Frames of a live source are not kept: of it, the last picture that its worker stored is shown.
"""

import asyncio
from collections.abc import Callable
from datetime import datetime
from typing import Any

from textual import work

from console.client.async_client import LatestPicture
from console.errors import ApiProblem, ConsoleError
from console.tui.api_session import ApiSession
from console.tui.drawing.formatting import duration, grouped
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

_LATEST_PAUSE_S = 2.0
_OLD_LATEST_S = 15.0
"""The last picture of a live source is replaced every ten seconds, unless something is wrong."""

Position = tuple[tuple[Target, ...], int | None]
"""Targets and index of the shown frame; None before the first one."""


class LivePreview(Preview):
    """Reads the image of `shown_position()` whenever it changes, one image at a time."""

    def __init__(
        self,
        backend: ApiSession,
        shown_position: Callable[[], Position],
        *,
        is_live: Callable[[], bool],
        targets_at: Callable[[int], tuple[Target, ...]],
        image_widget: type[Any] | None,
        id: str | None = None,  # noqa: A002 - Textual's name
    ) -> None:
        """`is_live`: whether the source is a live one. `targets_at`: those of a frame, if known."""
        super().__init__(image_widget=image_widget, id=id)
        self._is_live, self._targets_at = is_live, targets_at
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
        if shown.captured is not None:
            self.say_below(self._latest_line(shown.frame, shown.captured))
            return
        line: Line = ((f"frame {grouped(shown.frame)}", "dim"),)
        age_s = self._backend.clock.monotonic_s() - self._read_s
        if wanted is not None and wanted != shown.frame and age_s >= _OLD_S:
            line = (
                (f"frame {grouped(shown.frame)}, {age_s:.0f} s old", "warn"),
                (f"; the targets are of frame {grouped(wanted)}", "dim"),
            )
        self.say_below(line)

    def _latest_line(self, frame: int, captured: datetime) -> Line:
        age_s = max(0.0, (self._backend.clock.now() - captured).total_seconds())
        at = f"{self._backend.clock.local(round(1000 * captured.timestamp())):%H:%M:%S}"
        tone = "warn" if age_s >= _OLD_LATEST_S else "dim"
        age = duration(round(age_s))
        return ((f"last picture: frame {grouped(frame)}, {at}, {age} old", tone),)

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
            if frame is not None and self._is_live():
                await self._look_at_latest(task_id)
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

    async def _look_at_latest(self, task_id: str) -> None:
        """Read the last picture of a live source again and again."""
        known: str | None = None
        while True:
            try:
                found = await self._backend.read_latest(task_id, known)
                if found is not None:
                    targets = self._targets_at(found.frame)
                    shown = latest_shown(found, targets)
                    known = found.etag
                    self.post_message(PictureRead(task_id, shown))
            except (ConsoleError, ValueError) as exc:
                why = exc.detail if isinstance(exc, ApiProblem) else str(exc)
                self.post_message(PictureRead(task_id, None, why))
            await asyncio.sleep(_LATEST_PAUSE_S)


def latest_shown(found: LatestPicture, targets: tuple[Target, ...]) -> Shown:
    """Return the picture with targets of its frame; raises ValueError if it is no JPEG."""
    jpeg, width_px, height_px = found.picture
    return Shown(found.frame, read_jpeg(jpeg), width_px, height_px, targets, found.captured)
