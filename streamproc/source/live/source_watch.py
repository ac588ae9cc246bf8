"""State of a live source as its task tells of it: connecting, live or lost. Sans-IO.

A loss is told `NOTICE_AFTER_S` after it, so that a short one is not; then each other reason; at
most one a minute.
"""

from collections import deque
from typing import Final, Literal, NamedTuple

State = Literal["connecting", "live", "lost"]
NOTICE_AFTER_S: Final = 2.0
NOTICE_EVERY_S: Final = 60.0
RATE_WINDOW_S: Final = 10.0
_MOST_EVENTS: Final = 2000


class LossNotice(NamedTuple):
    """A loss to tell of. `code`: of its error. `n_attempts`: failed ones since then."""

    code: str
    n_attempts: int


class Rate:
    """Events per second over the last `RATE_WINDOW_S`, or the last `_MOST_EVENTS`."""

    def __init__(self) -> None:
        self._times: deque[float] = deque(maxlen=_MOST_EVENTS)

    def add(self, now_s: float) -> None:
        self._times.append(now_s)
        self._forget(now_s)

    def per_s(self, now_s: float) -> float | None:
        """Return the rate, None before two events."""
        self._forget(now_s)
        if len(self._times) < 2:
            return None
        spent_s = max(now_s, self._times[-1]) - self._times[0]
        return (len(self._times) - 1) / spent_s if spent_s > 0 else None

    def _forget(self, now_s: float) -> None:
        while self._times and now_s - self._times[0] > RATE_WINDOW_S:
            self._times.popleft()


class SourceWatch:
    """What has happened to one source; times are seconds of one monotonic clock."""

    def __init__(self, now_s: float, *, has_worked: bool) -> None:
        """`has_worked`: the task has had pictures of it before, maybe in another process."""
        self.state: State = "connecting"
        self.since_s = now_s
        self.code: str | None = None
        self.n_sessions = 0
        self.received = Rate()
        self.keyframe_interval_s: float | None = None
        self._has_worked = has_worked
        self._key_s: float | None = None
        self._n_attempts = 0
        self._told_code: str | None = None
        self._told_s: float | None = None

    @property
    def n_reconnects(self) -> int:
        """Sessions after the first."""
        return max(0, self.n_sessions - 1)

    def connected(self) -> None:
        self.n_sessions += 1

    def seen(self, arrival_s: float, time_s: float, *, is_key: bool) -> None:
        """Note a picture that came at `arrival_s`, with its media time."""
        if self.state != "live":
            self._turn("live", arrival_s)
            self.code = self._told_code = None
            self._n_attempts = 0
            self._key_s = None
        self._has_worked = True
        self.received.add(arrival_s)
        if is_key:
            if self._key_s is not None:
                self.keyframe_interval_s = round(time_s - self._key_s, 3)
            self._key_s = time_s

    def lost(self, code: str, n_attempts: int, now_s: float) -> None:
        """Note that a session ended, or could not be opened."""
        if self._has_worked and self.state != "lost":
            self._turn("lost", now_s)
        self.code, self._n_attempts = code, n_attempts

    def notice(self, now_s: float) -> LossNotice | None:
        """Return what is to be told now; it then has been."""
        code = self.code
        if self.state != "lost" or code is None or code == self._told_code:
            return None
        if now_s - self.since_s < NOTICE_AFTER_S:
            return None
        if self._told_s is not None and now_s - self._told_s < NOTICE_EVERY_S:
            return None
        self._told_code, self._told_s = code, now_s
        return LossNotice(code, self._n_attempts)

    def _turn(self, state: State, now_s: float) -> None:
        self.state, self.since_s = state, now_s
