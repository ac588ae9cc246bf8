"""Hold, step and seek in a followed stream."""

from collections.abc import Callable, Coroutine
from typing import Any

import msgspec
from textual.widget import Widget

from console.errors import ApiProblem, ConsoleError
from console.tui.api_session import ApiSession
from console.tui.drawing.formatting import grouped
from console.tui.messages import PlaceChanged
from console.tui.screens.prompt import PromptScreen
from console.tui.view_models.live_stream import LiveFold
from console.tui.view_models.log_line import LogLine, read_line
from console.tui.view_models.seek_window import WINDOW_BYTES, SeekWindow, hold_last, parse_place
from streamproc.contract.timestamps import rfc3339

_MAX_WINDOWS = 64


class StreamSeek:
    """The position that `host` shows: `held`, or the newest one while `held` is None.

    `newest_lines` returns the log's end as far as the host has it. Other parts of the log are read
    by the host's workers, one at a time. `changed` is called after each change of `held`.
    """

    def __init__(
        self,
        host: Widget,
        backend: ApiSession,
        newest_lines: Callable[[], tuple[LogLine, ...]],
        changed: Callable[[], None],
    ) -> None:
        self._host = host
        self._newest_lines = newest_lines
        self._backend = backend
        self._changed = changed
        self._task_id: str | None = None
        self._fold = LiveFold()
        self._held: SeekWindow | None = None
        self._anchor: int | None = None
        self._aim: int | None = None
        self._sought: int | None = None
        """The byte of a place that is being read."""

    @property
    def anchor(self) -> int | None:
        """The byte of the event from which steps started: a jump, or the hold. None: live."""
        return self._anchor

    @property
    def place(self) -> int | None:
        """The byte of the held event, also while it is still being read; None: live."""
        if self._sought is not None:
            return self._sought
        return None if self._held is None else self._held.line.start

    @property
    def held(self) -> SeekWindow | None:
        return self._held

    def follow(self, task_id: str, fold: LiveFold) -> None:
        """Start at the live end of another task's stream; `fold` grows as the host reads it."""
        self._task_id, self._fold, self._held = task_id, fold, None
        self._anchor = self._sought = self._aim = None
        self._host.workers.cancel_group(self._host, "seek")

    def toggle(self) -> None:
        """Hold the newest chunk, or return to live."""
        self._hold(None if self._held is not None else hold_last(self._newest_lines()))

    def release(self) -> None:
        """Return to live."""
        self._hold(None)

    def current(self) -> SeekWindow | None:
        """Return the held window, else one at the newest chunk; None if there is no line."""
        return self._held or hold_last(self._newest_lines())

    def hold_byte(self, offset: int) -> None:
        """Hold the event at byte `offset` if its line is loaded."""
        lines = self._held.lines if self._held else self._newest_lines()
        held = SeekWindow(lines, 0).at_byte(offset)
        if held is not None:
            self._hold(held)

    def go_to_byte(self, offset: int) -> None:
        """Hold the event at byte `offset`; its part of the log is read if it is not loaded."""
        if self._task_id is not None:
            self._read(self._seek(self._task_id, "byte", offset))

    def return_to(self, anchor: int | None, byte: int | None) -> None:
        """Hold the event at `byte` again, to which steps from `anchor` led; None: go to live."""
        if byte is None or self._task_id is None:
            self.release()
            return
        self._read(self._return(self._task_id, byte))
        self._anchor, self._sought = anchor, byte

    @property
    def aim(self) -> int | None:
        """The frame that is being read, else the held one."""
        if self._aim is not None:
            return self._aim
        return None if self._held is None else self._held.line.frame

    def go_to_frame(self, frame: int) -> None:
        """Hold the first event from `frame` on; its part of the log is read if need be."""
        held = self.current()
        near = None if held is None else held.at_frame(frame)
        if near is not None:
            self._host.workers.cancel_group(self._host, "seek")
            self._hold(near, jumped=True)
        elif self._task_id is not None:
            self._read(self._seek(self._task_id, "frame", frame))
            self._aim = frame

    def step(self, n: int) -> None:
        """Hold the event `n` lines after the shown one; beyond the lines, the log is read."""
        held = self.current()
        if held is None:
            return
        moved = held.moved(n)
        if moved is not None:
            self._hold(moved)
        elif self._task_id is not None:
            self._read(self._step_out(self._task_id, held, n))

    def ask(self, end: int) -> None:
        """Ask for a position in the log of `end` bytes, and seek to it."""

        def answered(text: str | None) -> None:
            if text and self._task_id is not None:
                self._read(self._seek(self._task_id, *parse_place(text)))

        title = f"Seek in the log (bytes 0 to {grouped(end)})"
        self._host.app.push_screen(
            PromptScreen(title, hint="48213, f120 or 12:30", check=parse_place), answered
        )

    def _hold(self, held: SeekWindow | None, *, jumped: bool = False) -> None:
        self._sought = self._aim = None
        if held is None:
            self._anchor = None
        elif jumped or self._anchor is None:
            self._anchor = held.line.start
        if held != self._held:
            self._held = held
            self._changed()
        self._host.post_message(PlaceChanged())

    async def _return(self, task_id: str, byte: int) -> None:
        """As `_seek`, without being a jump; live if the place cannot be read."""
        anchor = self._anchor
        await self._seek(task_id, "byte", byte)
        if self._sought is not None:  # nothing was held; the reason was told
            self._hold(self._held)
        elif self._held is not None:
            self._anchor = anchor

    def _read(self, move: Coroutine[Any, Any, None]) -> None:
        self._sought = self._aim = None
        self._host.run_worker(move, group="seek", exclusive=True)

    async def _seek(self, task_id: str, kind: str, number: int) -> None:
        if kind == "time":
            number = self._fold.sought_ms(number)
        held = self.current()
        near = None if held is None else _find(held, kind, number)
        if near is not None:
            self._hold(near, jumped=True)
            return
        if kind == "byte":
            window = await self._window(task_id, number)
            if window is not None:
                self._hold(window, jumped=True)
            return
        if kind == "time" and self._fold.is_live:
            window = await self._window(task_id, rfc3339(number))
            if window is not None:
                self._hold(window, jumped=True)
            return
        await self._scan(task_id, kind, number)

    async def _scan(self, task_id: str, kind: str, number: int) -> None:
        """Read the log from a known place before the wanted one until it is found, and hold it."""
        index = self._fold.index if kind == "frame" else self._fold.times_ms
        start: int | None = index.start_before(number)
        if kind == "frame" and start == 0 and index.first is not None:
            start = await self._start_before(task_id, number, index.first[1])
        for _ in range(_MAX_WINDOWS):
            window = None if start is None else await self._window(task_id, start)
            if window is None or start is None:
                return
            has_expired = window.lines[0].start > start
            found = window if has_expired else _find(window, kind, number)
            if found is not None:
                self._hold(found, jumped=True)
                return
            start = window.lines[-1].end
        self._host.notify("That is far from any known place.", severity="warning")

    async def _start_before(self, task_id: str, frame: int, end: int) -> int | None:
        """Return the start of an event shortly before `frame`, which is before byte `end`.

        The log is halved: frames rise with bytes. None if a part of it could not be read, as was
        told.
        """
        low, high = 0, end
        while high - low > WINDOW_BYTES:
            middle = (low + high) // 2
            window = await self._window(task_id, middle)
            if window is None:
                return None
            line = next((one for one in window.lines if one.frame is not None), window.lines[0])
            if line.start < high and line.frame is not None and line.frame <= frame:
                low = line.start
            else:
                high = middle
        return low

    async def _step_out(self, task_id: str, held: SeekWindow, n: int) -> None:
        """Read the window before or after the held one, and hold its nearest event."""
        if n > 0:
            window = await self._window(task_id, held.lines[-1].end, at_end="The log ends here.")
            if window is not None:
                self._hold(window)
            return
        first = held.lines[0].start
        if first == 0:
            self._hold(SeekWindow(held.lines, 0))
            return
        window = await self._window(task_id, max(0, first - WINDOW_BYTES // 2))
        here = None if window is None else window.at_byte(first - 1)
        if here is not None:
            self._hold(here)
        elif window is not None:
            self._host.notify("What was before has expired.", severity="warning")

    async def _window(
        self, task_id: str, start: int | str, at_end: str = "The log is shorter."
    ) -> SeekWindow | None:
        """Return the log from a byte or a time on; None if there is nothing, as is told."""
        try:
            events = await self._backend.read_log(task_id, start, WINDOW_BYTES)
            lines = tuple(read_line(event) for event in events)
        except (ConsoleError, msgspec.DecodeError) as exc:
            beyond = isinstance(exc, ApiProblem) and exc.status in {409, 416}
            self._host.notify(at_end if beyond else str(exc), severity="warning")
            return None
        if not lines:
            self._host.notify(at_end, severity="warning")
            return None
        return SeekWindow(lines, 0)


def _find(window: SeekWindow, kind: str, number: int) -> SeekWindow | None:
    """Return the window at the place, see `parse_place`; None if it is elsewhere."""
    match kind:
        case "frame":
            return window.at_frame(number)
        case "time":
            return window.at_time(number)
        case _:
            return window.at_byte(number)
