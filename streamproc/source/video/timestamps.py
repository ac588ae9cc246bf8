"""Timestamp normalisation: libav's timestamps are mapped to one time line that moves forward.

Files are joined, recorders restart their clocks, single timestamps are wrong. Packets arrive in
decode order. The rules for a packet are:

- The decode time decreases by half a second or more: another recording begins. Its times continue
  one frame after the previous packet.
- It increases by more than ten seconds in a transport or program stream: the same, as their
  timestamps are not comparable across a cut. In other formats this is a pause, and is kept.
- It decreases by less: jitter. Without reordered frames the packet gets the time of the one before
  it. With reordered frames the times do not define the order: `is_orderly` becomes false, and only
  decoding from the start gives the index of a frame.

Pure: one `TimeLine` for one pass over the packets, from the start or from a seek.
"""

from fractions import Fraction
from typing import Final

_JOIN_S: Final = Fraction(1, 2)
_CUT_S: Final = 10
_MOST_DELAY_S: Final = 10
"""Longest time from decoding to presentation of a frame, where a jump in time is a cut."""
_MOST: Final = 2**60
"""Limit of usable timestamps: sums with them fit into 64 bits. Real ones are far below it."""


class TimeLine:
    """`frame`: duration of a frame in time-base units, at least 1; `has_cuts`: jumps are cuts."""

    def __init__(self, time_base: Fraction, frame: int, *, has_cuts: bool) -> None:
        self._frame = max(1, frame)
        self._join = max(1, round(_JOIN_S / time_base))
        self._cut = round(_CUT_S / time_base) if has_cuts else None
        self._most_delay = round(_MOST_DELAY_S / time_base) if has_cuts else _MOST
        self._offset = 0
        self._last: int | None = None
        self._last_shown: int | None = None
        self.is_orderly = True

    def enter(
        self, pts: int | None, dts: int | None, *, reorders: bool = True
    ) -> tuple[int | None, int | None]:
        """Return the packet's (pts, dts) on the line; `reorders`: the decoder may reorder."""
        at = pts if dts is None else dts
        if at is None or abs(at) > _MOST or (pts is not None and abs(pts) > _MOST):
            self.is_orderly = self.is_orderly and at is None
            return None, None
        if dts is None:  # then the decode order says nothing about the time
            return at + self._offset, None
        delay = 0 if pts is None else pts - at
        if not -self._join < delay <= self._most_delay:
            self.is_orderly = False
            delay = min(0, delay)
        line = self._follow(at, reorders=reorders or bool(delay))
        if pts is not None:
            shown = self._last_shown
            self._last_shown = line + delay if shown is None else max(shown, line + delay)
            if not reorders and line + delay < self._last_shown:
                self.is_orderly = False
        return None if pts is None else line + delay, line

    def _follow(self, at: int, *, reorders: bool) -> int:
        line = at + self._offset
        last = self._last
        if last is not None:
            step = line - last
            if step <= -self._join or (self._cut is not None and step > self._cut):
                self._offset += last + self._frame - line
                line = last + self._frame
            elif step < 0:
                if reorders:
                    self.is_orderly = False
                else:
                    line = last
        self._last = line if last is None else max(last, line)
        return line
