"""The held view of a stream: a window of log lines and the one that is looked at. Pure.

While a stream goes on, a person may look at an earlier place: the window stays as it is until
they move on or return to live.
"""

import msgspec

from console.tui.view_models.live_stream import LogLine

WINDOW_BYTES = 128 * 1024


class SeekWindow(msgspec.Struct, frozen=True):
    """`lines` in log order, not empty; `cursor` is the place of the shown one."""

    lines: tuple[LogLine, ...]
    cursor: int

    @property
    def line(self) -> LogLine:
        return self.lines[self.cursor]

    def moved(self, n: int) -> "SeekWindow | None":
        """Return the view `n` lines on, or None when that lies outside of the window."""
        to = self.cursor + n
        return SeekWindow(self.lines, to) if 0 <= to < len(self.lines) else None

    def at_byte(self, offset: int) -> "SeekWindow | None":
        """Return the view at the event that holds byte `offset`, None when it is not here."""
        for i, line in enumerate(self.lines):
            if line.start <= offset < line.end:
                return SeekWindow(self.lines, i)
        return None

    def at_frame(self, frame: int) -> "SeekWindow | None":
        """Return the view at the first event of `frame` or later, None when it is not here."""
        if not self.lines or (self.lines[0].frame or 0) > frame:
            return None
        for i, line in enumerate(self.lines):
            if line.frame is not None and line.frame >= frame:
                return SeekWindow(self.lines, i)
        return None


def hold_last(lines: tuple[LogLine, ...]) -> SeekWindow | None:
    """Return the view at the last chunk that has a frame of its own."""
    for i in range(len(lines) - 1, -1, -1):
        if lines[i].frame is not None and lines[i].finish is None:
            return SeekWindow(lines, i)
    return SeekWindow(lines, len(lines) - 1) if lines else None


def parse_place(text: str) -> tuple[str, int]:
    """Return (`byte` | `frame`, number) of what a person typed: `48213`, `b48 213`, `f120`.

    Raises ValueError with a sentence for the person.
    """
    word = "".join(text.split()).lower().replace("_", "")
    kind = "byte"
    for prefix, name in (("frame", "frame"), ("byte", "byte"), ("f", "frame"), ("b", "byte")):
        if word.startswith(prefix):
            kind, word = name, word[len(prefix) :]
            break
    if not (word.isascii() and word.isdecimal()):
        raise ValueError("a byte such as 48213, or a frame such as f120")
    return kind, int(word)
