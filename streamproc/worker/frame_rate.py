"""Frames that a worker has processed, and their rate over the last seconds."""

import threading
from collections import deque

WINDOW_S = 10.0
"""Frames come in slices of seconds: over a shorter time, the rate would jump."""


class FrameCounter:
    """Number of processed frames; thread-safe."""

    def __init__(self) -> None:
        self._n_frames = 0
        self._lock = threading.Lock()

    def add(self) -> None:
        """Count one frame."""
        with self._lock:
            self._n_frames += 1

    @property
    def n_frames(self) -> int:
        """The frames so far; never less than before."""
        return self._n_frames


class FrameRate:
    """Rate over the last `WINDOW_S`, or over all the time before that has passed."""

    def __init__(self, started_s: float) -> None:
        """`started_s`: monotonic time at which no frame was processed yet."""
        self._seen = deque([(started_s, 0)])

    def after(self, at_s: float, n_frames: int) -> float:
        """Return frames per second, given the count at monotonic time `at_s`."""
        while len(self._seen) > 1 and self._seen[1][0] <= at_s - WINDOW_S:
            self._seen.popleft()
        since_s, before = self._seen[0]
        self._seen.append((at_s, n_frames))
        return (n_frames - before) / (at_s - since_s) if at_s > since_s else 0.0
