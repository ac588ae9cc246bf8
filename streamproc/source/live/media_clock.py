"""Time of live pictures: the source's own timestamps, tied to when its pictures arrive. Sans-IO.

A picture's time is its timestamp plus an offset. The offset is the smallest difference of arrival
and timestamp in the last `WINDOW_S` to twice that: the picture with the least delay counts. So the
delays of a network do not show, and a clock that runs too fast or too slowly is followed. A
timestamp that is `AHEAD_S` ahead of its arrival, `BEHIND_S` behind, or `BACK_S` before another one
was a jump or a restart of the source's clock, and ties it anew: a network makes pictures late, but
their timestamps rise all the same. Time never goes backwards.
"""

from typing import Final, NamedTuple

from streamproc.source.live.rtp.packet import SenderReport

WINDOW_S: Final = 10.0
AHEAD_S: Final = 1.0
BEHIND_S: Final = 10.0
BACK_S: Final = 1.0
"""More than pictures that are sent in another order than they are shown."""
LATE_S: Final = 1.0
CATCH_UP_S: Final = 3.0
LEAST_STEP_S: Final = 0.001
MAX_CLOCK_ERROR_S: Final = 10.0
"""The wall clock of a source is used while it differs from ours by at most this."""


class MediaClock:
    """Media time of one track, on the monotonic clock of the arrivals."""

    def __init__(self, clock_hz: int) -> None:
        """`clock_hz`: timestamps per second."""
        self._clock_hz = clock_hz
        self._window_end_s = 0.0
        self._least_s: float | None = None
        self._least_before_s: float | None = None
        self._last_s: float | None = None
        self._newest_s: float | None = None
        """The largest timestamp since time was tied, in s."""
        self.n_jumps = 0
        self.n_restarts = 0
        """Jumps from one picture to the next: no delay explains them."""
        self._before: tuple[float, float] | None = None
        """Timestamp, in s, and arrival of the picture before."""

    def time_s(self, timestamp: int, arrival_s: float) -> float:
        """Return when the picture was taken; at least `LEAST_STEP_S` after the last.

        `timestamp` is without wraps; `arrival_s` never goes backwards.
        """
        return self.rising_s(self.tied_s(timestamp, arrival_s))

    def tied_s(self, timestamp: int, arrival_s: float) -> float:
        """Return when the picture was taken, once for each picture, in the order of arrivals.

        Pictures that are sent in another order than they are shown have falling times here.
        """
        media_s = timestamp / self._clock_hz
        return min(media_s + self._offset_s(media_s, arrival_s), arrival_s)

    def rising_s(self, found_s: float) -> float:
        """Return `found_s`, or `LEAST_STEP_S` after what was returned before, if that is later."""
        if self._last_s is not None:
            found_s = max(found_s, self._last_s + LEAST_STEP_S)
        self._last_s = found_s
        return found_s

    def restart(self, clock_hz: int) -> None:
        """Tie the next timestamp anew: the source was connected again. Time still goes on."""
        self._clock_hz = clock_hz
        self._least_s = self._least_before_s = self._newest_s = self._before = None

    def _offset_s(self, media_s: float, arrival_s: float) -> float:
        difference_s, known_s = arrival_s - media_s, self._known_s()
        is_back = self._newest_s is not None and media_s < self._newest_s - BACK_S
        is_ahead = self._before is not None and (
            media_s - self._before[0] > arrival_s - self._before[1] + AHEAD_S
        )
        self.n_restarts += is_back or is_ahead
        self._before = media_s, arrival_s
        if known_s is None or is_back or not -AHEAD_S < difference_s - known_s < BEHIND_S:
            self.n_jumps += known_s is not None
            self._newest_s = media_s
            self._least_s, self._least_before_s = difference_s, None
            self._window_end_s = arrival_s + WINDOW_S
            return difference_s
        self._newest_s = media_s if self._newest_s is None else max(self._newest_s, media_s)
        if arrival_s >= self._window_end_s:
            self._least_before_s, self._least_s = self._least_s, difference_s
            self._window_end_s = arrival_s + WINDOW_S
        elif self._least_s is None or difference_s < self._least_s:
            self._least_s = difference_s
        return min(one for one in (self._least_s, self._least_before_s) if one is not None)

    def _known_s(self) -> float | None:
        known = [one for one in (self._least_s, self._least_before_s) if one is not None]
        return min(known, default=None)


class CatchUp:
    """Tells pictures that a network kept back, and then gives all at once, from slow ones.

    A picture of such a burst is late by its delay. But if the delays do not fall within
    `CATCH_UP_S`, the network has become slower, and pictures are not late any more.
    """

    def __init__(self) -> None:
        self._since_s: float | None = None

    def late_s(self, tied_s: float, arrival_s: float) -> float:
        """Return how late a picture of a burst is; 0 for others."""
        delay_s = arrival_s - tied_s
        if delay_s < LATE_S:
            self._since_s = None
            return 0.0
        if self._since_s is None:
            self._since_s = arrival_s
        return delay_s if arrival_s - self._since_s < CATCH_UP_S else 0.0


class Captured(NamedTuple):
    """When a picture was taken, in s since 1970; `is_source`: by the source's own clock."""

    wall_s: float
    is_source: bool


class WallClock:
    """Wall-clock times from RTCP sender reports, where they are plausible."""

    def __init__(self, clock_hz: int) -> None:
        self._clock_hz = clock_hz
        self._report: tuple[float, int] | None = None
        self._outdated: tuple[float, int] | None = None

    def note(self, report: SenderReport, timestamp: int) -> None:
        """Take a report, maybe again; `timestamp` is its RTP timestamp without wraps."""
        told = report.wall_s, timestamp
        if told != self._outdated:
            self._report = told

    def forget(self) -> None:
        """Use what was noted no more: the source's timestamps have started anew."""
        self._outdated, self._report = self._report or self._outdated, None

    def captured(self, timestamp: int, arrival_wall_s: float) -> Captured:
        """Return when a picture was taken, by the source's clock if it is near ours, else ours.

        `arrival_wall_s`: when its last byte arrived, in s since 1970.
        """
        if self._report is not None:
            wall_s, at = self._report
            found_s = wall_s + (timestamp - at) / self._clock_hz
            if abs(found_s - arrival_wall_s) <= MAX_CLOCK_ERROR_S:
                return Captured(found_s, is_source=True)
        return Captured(arrival_wall_s, is_source=False)
