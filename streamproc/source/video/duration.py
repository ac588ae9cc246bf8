"""Duration, frame rate and number of frames of a video, as far as its container has them."""

import re
from fractions import Fraction
from typing import Any, Final

from streamproc.contract.bounds import MAX_TIME_S

BARE: Final = ("h264", "hevc", "mpegvideo", "mjpeg")
"""Elementary streams: no container."""
INDEXED: Final = ("mov", "avi")
_FALLBACK_RATE: Final = Fraction(25)
_TOLD: Final = re.compile(r"(\d{1,4}):(\d\d):(\d\d(?:\.\d{1,9})?)")
_SAME_RATE: Final = Fraction(1, 5)


class Extent:
    """Duration, rate and number of frames of one stream of an open container.

    `is_read_in_part`: only a part of the container was read when it was opened. It has no index
    then, and its duration is `declared_s`, None when unknown.
    """

    def __init__(
        self,
        container: Any,
        stream: Any,
        name: str,
        *,
        is_read_in_part: bool = False,
        declared_s: float | None = None,
    ) -> None:
        self._container, self._stream, self._format = container, stream, name
        self._is_read_in_part, self._declared_s = is_read_in_part, declared_s

    @property
    def rate(self) -> Fraction:
        """Average frame rate; 25 when the container has no information."""
        rates = (self._stream.average_rate, self._stream.guessed_rate)
        if self._format in BARE or self._is_read_in_part:
            # The average is libav's default, or that of the start; the guess is better.
            rates = rates[::-1]
        rate = rates[0] or rates[1]
        return Fraction(rate) if rate else _FALLBACK_RATE

    @property
    def counting_rate(self) -> Fraction:
        """Rate by which frame numbers are computed from times.

        It is the stream's base rate, unless that is a multiple of `rate` (differs by 1/5 or more).
        """
        rate, base = self.rate, self._stream.base_rate
        return Fraction(base) if base and abs(Fraction(base) / rate - 1) < _SAME_RATE else rate

    @property
    def duration_s(self) -> float | None:
        """Approximate duration of the video from its first frame on; None when unknown."""
        if self._is_read_in_part:
            return self._declared_s
        if self._stream.duration is not None:
            return float(self._stream.duration * Fraction(self._stream.time_base))
        end_s = _declared_s(self._stream.metadata.get("DURATION", ""))
        if end_s is None:
            if self._container.duration is None:
                return None
            end_s = self._container.duration / 1e6
        if self._format != "matroska":
            return end_s
        start = self._container.start_time  # durations count from 0, not from the start time
        return end_s - start / 1e6 if start and 0 < start / 1e6 < end_s else end_s

    @property
    def is_indexed(self) -> bool:
        """Whether the container has an index of all packets, in decode order."""
        n_entries = len(self._stream.index_entries)
        if self._format == "avi":
            return n_entries > 1
        is_whole = self._format in INDEXED and not self._is_read_in_part
        return is_whole and 0 < self._stream.frames <= n_entries

    def total_frames(self, *, has_fields: bool) -> int | None:
        """Count the index if there is one (counts in headers are unreliable), else estimate."""
        if self.is_indexed:
            n_shown = sum(not entry.is_discard for entry in self._stream.index_entries)
            return (n_shown + 1) // 2 if has_fields else n_shown
        duration_s = self.duration_s
        if duration_s is None or not 0 < duration_s <= MAX_TIME_S:
            return None
        return max(1, round(duration_s * self.rate))


def _declared_s(text: str) -> float | None:
    """Return a Matroska tag's duration, `HH:MM:SS.nnnnnnnnn`, in seconds; None if malformed."""
    match = _TOLD.fullmatch(text)
    if match is None:
        return None
    hours, minutes, seconds = match.groups()
    return int(hours) * 3600 + int(minutes) * 60 + float(seconds)
