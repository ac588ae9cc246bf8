"""View model of the timeline: which frames are in sight, and which column each of them has. Pure.

The whole video is shown at first. Zoomed in, the window stays as wide as it is while the stream
grows, and moves with the frame that is shown.
"""

import msgspec

MIN_SPAN = 8
"""Frames in sight at the deepest zoom."""


class TimeScale(msgspec.Struct, frozen=True):
    """`span` frames from `left` on, over `cells` columns; all are at least 1.

    With more frames than columns, every column has a frame; otherwise every frame has a column.
    """

    left: int
    span: int
    cells: int

    @property
    def right(self) -> int:
        """The last frame in sight."""
        return self.left + self.span - 1

    def column_of(self, frame: int) -> int:
        """Return the frame's column, the first if it has several; outside of the window, none."""
        at = frame - self.left
        if self.span >= self.cells:
            return at * self.cells // self.span
        return -(-at * self.cells // self.span)

    def last_column_of(self, frame: int) -> int:
        """Return the frame's last column."""
        return max(self.column_of(frame), self.column_of(frame + 1) - 1)

    def frame_at(self, column: int) -> int:
        """Return the frame of the column, the first if it has several."""
        at = column * self.span
        if self.span >= self.cells:
            return self.left - (-at // self.cells)
        return self.left + at // self.cells


class TimelineWindow(msgspec.Struct, frozen=True):
    """Frames in sight of those from `first` to `last`.

    `span`: how many; None, all of them. `left`: the first one, if not all.
    """

    first: int = 0
    last: int = 0
    span: int | None = None
    left: int = 0

    @property
    def n_frames(self) -> int:
        return self.last - self.first + 1

    @property
    def zoom(self) -> float:
        """How many times more than the whole fits."""
        return 1.0 if self.span is None else self.n_frames / self.span

    def scale(self, cells: int) -> TimeScale:
        """Return the columns of the frames in sight."""
        if self.span is None:
            return TimeScale(self.first, self.n_frames, max(1, cells))
        return TimeScale(self.left, self.span, max(1, cells))

    def grown(self, first: int, last: int) -> "TimelineWindow":
        """Return the window on a stream that now has these frames."""
        return _clamped(max(0, first), max(first, last, 0), self.span, self.left)

    def zoomed(self, n: int, around: int) -> "TimelineWindow":
        """Return the window with 2^n times the detail; the frame `around` keeps its column."""
        span, left = self._shown()
        wanted = max(min(MIN_SPAN, self.n_frames), span // 2**n if n >= 0 else span * 2**-n)
        around = max(self.first, min(self.last, around))
        inside = left <= around < left + span
        before = (around - left) * wanted // span if inside else wanted // 2
        return _clamped(self.first, self.last, wanted, around - before)

    def scrolled(self, n_parts: int) -> "TimelineWindow":
        """Return the window moved by `n_parts` quarters of itself; negative is back."""
        span, left = self._shown()
        return _clamped(self.first, self.last, self.span, left + n_parts * max(1, span // 4))

    def following(self, frame: int) -> "TimelineWindow":
        """Return the window, moved only if `frame` is out of sight: then that is in its middle."""
        span, left = self._shown()
        if left <= frame < left + span:
            return self
        return _clamped(self.first, self.last, self.span, frame - span // 2)

    def _shown(self) -> tuple[int, int]:
        return (self.n_frames, self.first) if self.span is None else (self.span, self.left)


def _clamped(first: int, last: int, span: int | None, left: int) -> TimelineWindow:
    """Return the window within the frames; one that has all of them has no span."""
    if span is None or span >= last - first + 1:
        return TimelineWindow(first, last)
    return TimelineWindow(first, last, span, max(first, min(last - span + 1, left)))
