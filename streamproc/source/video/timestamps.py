"""One time line per source: libav's timestamps, made to run forward where they enter.

Files are joined, recorders start their clocks again, single timestamps are wild. Packets come in
decode order; what the line says of them:

- The decode time steps back by half a second or more: another recording begins. Its times follow
  one frame after what came before.
- It jumps ahead by more than ten seconds in a transport or program stream: the same, as their
  timestamps mean nothing over a cut. Elsewhere that is a pause, and it stays.
- It steps back by less: jitter. Without reordered frames the packet is taken to be no earlier than
  the one before it. With them nobody can tell the order by the times: `is_orderly` is false then,
  and only decoding from the start tells which frame is the how manieth.

Pure: one `TimeLine` for one way through the packets, from the start or from a seek on.
"""

from fractions import Fraction
from typing import Final

_JOIN_S: Final = Fraction(1, 2)
_CUT_S: Final = 10
_MOST_DELAY_S: Final = 10
"""Where a jump is no pause, a frame is not shown later than this after it is decoded."""
_MOST: Final = 2**60
"""Whatever is added to such a number still fits into 64 bits; nothing real comes near it."""


class TimeLine:
    """`frame`: units of one frame, at least 1; `has_cuts`: a jump ahead is no pause."""

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
        """Return the packet's (pts, dts) on the line; `reorders`: the decoder may, as it says."""
        at = pts if dts is None else dts
        if at is None or abs(at) > _MOST or (pts is not None and abs(pts) > _MOST):
            self.is_orderly = self.is_orderly and at is None
            return None, None
        if dts is None:  # the place in the order of decoding tells nothing of the time then
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
