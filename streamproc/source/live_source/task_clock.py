"""Media time of a live task: seconds since its first frame, over all its workers."""

import time

from streamproc.source.live.media_clock import LEAST_STEP_S


class TaskClock:
    """Turns times of this process's monotonic clock into those of the task. One thread.

    Workers agree on the wall clock alone, so the first frame's time is kept in that. The difference
    of both clocks is read once: a wall clock that is set meanwhile changes nothing.
    """

    def __init__(self, origin_wall_s: float | None, last_s: float | None) -> None:
        """`origin_wall_s`: when the first frame was taken; None: none was, the next one is it.

        `last_s`: time of the task's last frame. Later ones are after it, whatever the clocks say.
        """
        self.origin_wall_s = origin_wall_s
        self._last_s = last_s
        self._ahead_s = time.time() - time.monotonic()

    def wall_s(self, monotonic_s: float) -> float:
        """Return a time of the monotonic clock in seconds since 1970."""
        return monotonic_s + self._ahead_s

    def time_s(self, monotonic_s: float) -> float:
        """Return the next frame's time; at least `LEAST_STEP_S` after the one before."""
        wall_s = self.wall_s(monotonic_s)
        if self.origin_wall_s is None:
            self.origin_wall_s = wall_s - (0.0 if self._last_s is None else self._last_s)
        found_s = wall_s - self.origin_wall_s
        if self._last_s is not None:
            found_s = max(found_s, self._last_s + LEAST_STEP_S)
        self._last_s = found_s
        return found_s

    def elapsed_s(self, monotonic_s: float) -> float | None:
        """Return the time since the first frame, None before it."""
        if self.origin_wall_s is None:
            return None
        return self.wall_s(monotonic_s) - self.origin_wall_s
