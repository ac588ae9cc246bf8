"""Frame sampling: which frames are in the range, and which of those are delivered. Pure.

Time is exact: a `Fraction` of seconds since the source's first frame. Decimal values from a
request (.3 fps, 29.97 fps) are converted to the simple fraction that they represent, so that no
frame on a boundary is missed by a rounding error.
"""

import enum
from fractions import Fraction
from math import floor

from streamproc.contract.task_spec import FrameRange, Sampling

_MAX_DENOMINATOR = 1_000_000


class Place(enum.Enum):
    """Position of a frame relative to the range."""

    BEFORE = 0
    INSIDE = 1
    AFTER = 2


class Origin:
    """The first frame of the range, from which sampling counts."""

    __slots__ = ("index", "time_s")

    def __init__(self, index: int, time_s: Fraction) -> None:
        self.index = index
        self.time_s = time_s


class Selection:
    """Range and sampling of frames; its methods are called in presentation order."""

    def __init__(self, sampling: Sampling, frames: FrameRange) -> None:
        self._sampling = sampling
        self._in_frames = frames.unit == "frames"
        self._start = exact(frames.start)
        self._end = None if frames.end is None else exact(frames.end)
        self._rate = exact(sampling.value)
        self._step = max(1, floor(self._rate))
        self._last_tick = -1
        self.origin: Origin | None = None

    @property
    def starts_at_zero(self) -> bool:
        return self._start <= 0

    @property
    def start_index(self) -> int | None:
        """First frame index of a range in frames; None for a range in seconds."""
        return -floor(-self._start) if self._in_frames else None

    @property
    def start_s(self) -> Fraction | None:
        """Start of a range in seconds; None for a range in frames."""
        return None if self._in_frames else self._start

    def place(self, index: int, time_s: Fraction) -> Place:
        """Return the frame's position relative to the range; the first one inside is the origin."""
        position = Fraction(index) if self._in_frames else time_s
        if self._end is not None and position >= self._end:
            return Place.AFTER
        if self.origin is None:
            if position < self._start:
                return Place.BEFORE
            start_s = time_s if self._in_frames else max(self._start, Fraction(0))
            self.origin = Origin(index, start_s)
        return Place.INSIDE

    def ends_with(self, index: int) -> bool:
        """Return whether no later frame can be inside (for a range in frames)."""
        return self._in_frames and self._end is not None and index + 1 >= self._end

    def takes(self, index: int, time_s: Fraction, *, is_key: bool) -> bool:
        """Return whether a frame inside the range is delivered. Call it once per decoded frame.

        Raises ValueError before `place` has seen a frame inside the range.
        """
        if self.origin is None:
            raise ValueError("place() has to see a frame inside the range first")
        if self._sampling.mode == "keyframe":
            return is_key
        if self._sampling.mode == "interval":
            return (index - self.origin.index) % self._step == 0
        tick = floor((time_s - self.origin.time_s) * self._rate)
        if tick <= self._last_tick:
            return False
        self._last_tick = tick
        return True


def exact(value: float) -> Fraction:
    """Return the simple fraction that a decimal number represents (.1 is 1/10)."""
    return Fraction(value).limit_denominator(_MAX_DENOMINATOR)
