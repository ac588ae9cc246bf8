"""Index of a followed log by frame, or by the frames' times. Bounded for a log of any length."""

from bisect import bisect_right

MAX_INDEX = 8192


class FrameIndex:
    """Sparse index from frames, or their times, to log offsets.

    All events at first, later every 2nd, 4th … one.
    """

    def __init__(self, most: int = MAX_INDEX, *, may_repeat: bool = False) -> None:
        """`may_repeat`: events may have the value of the one before, as times may, not offsets."""
        self._most = most
        self._least_step = 0 if may_repeat else 1
        self._frames: list[int] = []
        self._starts: list[int] = []
        self._every = 1
        self._n_events = 0

    def __len__(self) -> int:
        return len(self._frames)

    def add(self, frame: int, start: int) -> None:
        """Add the next event in log order; ignore one at or before the last indexed one."""
        if self._starts and start < self._starts[-1] + self._least_step:
            return
        if self._n_events % self._every == 0:
            self._frames.append(frame)
            self._starts.append(start)
            if len(self._frames) > self._most:
                del self._frames[1::2], self._starts[1::2]
                self._every *= 2
        self._n_events += 1

    def start_before(self, frame: int) -> int:
        """Return the start of the last indexed event whose frame is <= `frame`, else 0."""
        at = bisect_right(self._frames, frame)
        return self._starts[at - 1] if at else 0

    @property
    def first(self) -> tuple[int, int] | None:
        """The first indexed frame and its start; None without any."""
        return (self._frames[0], self._starts[0]) if self._frames else None

    def interpolated(self, frame: int) -> int:
        """Return the value at `frame`, between those of the indexed frames next to it; else 0.

        After the last of them, what their last two would lead to.
        """
        if len(self._frames) < 2:
            return self._starts[0] if self._starts else 0
        at = min(max(1, bisect_right(self._frames, frame)), len(self._frames) - 1)
        before, after = self._frames[at - 1], self._frames[at]
        low, high = self._starts[at - 1], self._starts[at]
        return max(0, low + round((frame - before) * (high - low) / max(1, after - before)))
