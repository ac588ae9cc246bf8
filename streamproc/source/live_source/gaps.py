"""Times without frames, and the frame that each ends with. Sans-IO."""

from typing import Final

from streamproc.contract.chunk import Gap, GapReason

_WEIGHTS: Final[dict[str, int]] = {
    "discontinuity": 0,
    "overload": 1,
    "source_lost": 2,
    "worker_lost": 3,
}


def stronger(first: Gap | None, second: Gap | None) -> Gap | None:
    """Return one gap for two that follow each other: all the time, for the greater reason."""
    if first is None or second is None:
        return first or second
    reason = max(first.reason, second.reason, key=lambda one: _WEIGHTS.get(one, -1))
    return Gap(reason, round(first.seconds + second.seconds, 3))


class Gaps:
    """Gaps of one source; times are those of its frames."""

    def __init__(self) -> None:
        self._last_s: float | None = None
        self._open: GapReason | None = None
        self._gap: Gap | None = None

    def open(self, reason: GapReason) -> None:
        """Note that pictures are missing after the last one."""
        if self._last_s is not None and (
            self._open is None or _WEIGHTS[reason] > _WEIGHTS[self._open]
        ):
            self._open = reason

    def note(self, time_s: float) -> None:
        """Note a picture: it ends the gap, whether it is shown or not."""
        if self._open is not None and self._last_s is not None:
            self._gap = stronger(self._gap, Gap(self._open, round(time_s - self._last_s, 3)))
        self._open, self._last_s = None, time_s

    def take(self) -> Gap | None:
        """Return the gap before the picture that is shown now."""
        gap, self._gap = self._gap, None
        return gap

    def give_back(self, gap: Gap | None) -> None:
        """Keep the gap of a picture that is not shown after all for the next one."""
        self._gap = stronger(gap, self._gap)
