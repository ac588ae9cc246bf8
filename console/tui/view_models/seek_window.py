"""Seek window: a fixed range of log lines with a cursor, shown while a stream is held. Pure.

While the stream continues, the user can look at an earlier position. The window does not change
until the user moves or returns to live.
"""

import re

import msgspec

from console.tui.view_models.log_line import LogLine

WINDOW_BYTES = 128 * 1024
_MAX_DIGITS = 15
_TIME = re.compile(r"(?:([0-9]{1,4}):)?([0-9]{1,4}):([0-9]{1,2}(?:\.[0-9]{1,3})?)")


class SeekWindow(msgspec.Struct, frozen=True):
    """Window of `lines` in log order, not empty; `cursor` is the index of the shown line."""

    lines: tuple[LogLine, ...]
    cursor: int

    @property
    def line(self) -> LogLine:
        return self.lines[self.cursor]

    def moved(self, n: int) -> "SeekWindow | None":
        """Return the window with the cursor moved by `n` lines; None if that is outside of it."""
        to = self.cursor + n
        return SeekWindow(self.lines, to) if 0 <= to < len(self.lines) else None

    def at_byte(self, offset: int) -> "SeekWindow | None":
        """Return the window at the event that contains byte `offset`; None if it has none."""
        for i, line in enumerate(self.lines):
            if line.start <= offset < line.end:
                return SeekWindow(self.lines, i)
        return None

    def at_frame(self, frame: int) -> "SeekWindow | None":
        """Return the window at the first event with a frame >= `frame`.

        None if there is none, or if the window starts after `frame`.
        """
        return self._at_least(frame, [line.frame for line in self.lines])

    def at_time(self, time_ms: int) -> "SeekWindow | None":
        """As `at_frame`, for a time in the video."""
        return self._at_least(time_ms, [line.time_ms for line in self.lines])

    def _at_least(self, wanted: int, places: list[int | None]) -> "SeekWindow | None":
        if not places or (self.lines[0].start and (places[0] or 0) > wanted):
            return None
        for i, place in enumerate(places):
            if place is not None and place >= wanted:
                return SeekWindow(self.lines, i)
        return None


def hold_last(lines: tuple[LogLine, ...]) -> SeekWindow | None:
    """Return a window at the last chunk that is not the terminal, else at the last line."""
    for i in range(len(lines) - 1, -1, -1):
        if lines[i].frame is not None and lines[i].finish is None:
            return SeekWindow(lines, i)
    return SeekWindow(lines, len(lines) - 1) if lines else None


def parse_place(text: str) -> tuple[str, int]:
    """Parse a position that the user typed: (`byte` | `frame` | `time`, number).

    `48213`, `b48 213`, `f120`, and `12:30` or `1:02:03.5`, a time in the video, in milliseconds; of
    a live source `14:02:03.5`, a time of day.
    Raises ValueError with a message for the user.
    """
    word = "".join(text.split()).lower().replace("_", "")
    time = _TIME.fullmatch(word)
    if time is not None:
        hours, minutes, seconds = int(time[1] or 0), int(time[2]), float(time[3])
        return "time", round(((hours * 60 + minutes) * 60 + seconds) * 1000)
    kind = "byte"
    for prefix, name in (("frame", "frame"), ("byte", "byte"), ("f", "frame"), ("b", "byte")):
        if word.startswith(prefix):
            kind, word = name, word[len(prefix) :]
            break
    if not (word.isascii() and word.isdecimal() and len(word) <= _MAX_DIGITS):
        raise ValueError("a byte such as 48213, a frame such as f120, or a time such as 12:30")
    return kind, int(word)
