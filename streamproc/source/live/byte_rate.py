"""Highest rate at which a live source may send. Sans-IO."""

from typing import Final

from streamproc.source.errors import SourceTooLargeError

MAX_BYTES_PER_S: Final = 32 << 20
_WINDOW_S: Final = 2.0


class ByteRate:
    """Counts the bytes of one connection."""

    def __init__(self, host: str, now_s: float) -> None:
        """`host` is named in the error; `now_s`: monotonic time."""
        self._host = host
        self._since_s, self._n_bytes = now_s, 0

    def count(self, n_bytes: int, now_s: float) -> None:
        """Note received bytes. Raises `SourceTooLargeError` if they are too many."""
        if now_s - self._since_s >= _WINDOW_S:
            self._since_s, self._n_bytes = now_s, 0
        self._n_bytes += n_bytes
        if self._n_bytes > MAX_BYTES_PER_S * _WINDOW_S:
            raise SourceTooLargeError(f"{self._host} sends over {MAX_BYTES_PER_S} bytes per second")
