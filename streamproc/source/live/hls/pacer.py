"""When to hand on pictures that arrive in bursts: at constant delay, by their times. Sans-IO.

A segment brings seconds of video at once. Its pictures are due as far apart as they were captured.
When one comes after it was due, the delay grows to that, once; it never shrinks by itself.
"""

from typing import Final

MAX_AHEAD_S: Final = 30.0
"""A picture that would be due later than this belongs to another clock: its times are tied anew."""


class Pacer:
    """Due times of one stream, on the monotonic clock."""

    def __init__(self) -> None:
        self._base_s: float | None = None
        self._last_s = 0.0

    def due_s(self, media_s: float, arrived_s: float) -> float:
        """Return when the picture is due: not before it arrived, nor before the one before it."""
        earliest_s = max(arrived_s, self._last_s)
        if self._base_s is None:
            self._base_s = earliest_s - media_s
        due_s = media_s + self._base_s
        if due_s < arrived_s or due_s > earliest_s + MAX_AHEAD_S:
            self._base_s = earliest_s - media_s
            due_s = earliest_s
        self._last_s = max(due_s, self._last_s)
        return self._last_s

    def restart(self) -> None:
        """The times that follow belong to another clock."""
        self._base_s = None
