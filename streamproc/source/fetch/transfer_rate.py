"""Minimum transfer rate of an origin, as a token bucket of waiting time. Sans-IO.

The bucket holds seconds (the patience). A wait takes its duration out of it. Every byte adds the
time that it may take at the minimum rate, up to the bucket's capacity. So an origin may be silent
for as long as the patience, and slower than the rate for a limited time: at half the rate it is
given up after twice the patience. Time without a wait for the origin does not count.
"""

import threading


class Pace:
    """Token bucket of one source, over all of its requests; thread-safe."""

    def __init__(self, min_bytes_per_s: float, patience_s: float) -> None:
        """`min_bytes_per_s` 0: any byte fills the bucket."""
        self._rate = min_bytes_per_s
        self._patience_s = self._left_s = patience_s
        self._n_bytes = 0
        self._lock = threading.Lock()

    @property
    def left_s(self) -> float:
        """Maximum wait for the next byte; 0 when the bucket is empty."""
        return max(0.0, self._left_s)

    @property
    def n_bytes(self) -> int:
        """Total number of received bytes."""
        return self._n_bytes

    def note(self, waited_s: float, n_bytes: int) -> None:
        """Count a wait and its received bytes. An empty bucket stays empty."""
        with self._lock:
            self._n_bytes += n_bytes
            if self._left_s > 0:
                left_s = self._left_s - waited_s + self._earned_s(n_bytes)
                self._left_s = min(self._patience_s, left_s)

    def _earned_s(self, n_bytes: int) -> float:
        if self._rate > 0:
            return n_bytes / self._rate
        return self._patience_s if n_bytes else 0.0
