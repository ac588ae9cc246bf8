"""Whether an origin is fast enough: time that was waited for it, against bytes that came. Sans-IO.

Patience is a bucket. Waiting empties it, a second for a second; every byte fills it again, by the
time that it may take at the least rate, and never above the brim. So an origin may be silent for
as long as the patience, and slower than the rate for a while, but not for long: at half the rate
it is given up after twice the patience. Time in which nobody waits for it does not count.
"""

import threading


class Pace:
    """The patience with one source, over all its requests; thread-safe."""

    def __init__(self, min_bytes_per_s: float, patience_s: float) -> None:
        """`min_bytes_per_s` 0: any byte restores the whole patience."""
        self._rate = min_bytes_per_s
        self._patience_s = self._left_s = patience_s
        self._n_bytes = 0
        self._lock = threading.Lock()

    @property
    def left_s(self) -> float:
        """How long the next byte may be waited for; 0 when the patience is at an end."""
        return max(0.0, self._left_s)

    @property
    def n_bytes(self) -> int:
        """How many bytes have come in all."""
        return self._n_bytes

    def note(self, waited_s: float, n_bytes: int) -> None:
        """Count a wait and what it brought. A patience that has run out does not come back."""
        with self._lock:
            self._n_bytes += n_bytes
            if self._left_s > 0:
                left_s = self._left_s - waited_s + self._earned_s(n_bytes)
                self._left_s = min(self._patience_s, left_s)

    def _earned_s(self, n_bytes: int) -> float:
        if self._rate > 0:
            return n_bytes / self._rate
        return self._patience_s if n_bytes else 0.0
