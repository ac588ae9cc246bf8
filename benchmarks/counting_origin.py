"""What an HTTP server of one file does: it sends at a rate of its own, and counts."""

import mmap
import threading
import time
from pathlib import Path
from typing import Final

from tests.streamproc.source.origin import Handler

_PIECE_BYTES: Final = 64 * 1024


class Counting:
    """For the tests' `origin.serving`; `n_bytes` and `n_requests` are of all answers."""

    def __init__(self, path: Path, *, is_ranged: bool, mb_per_s: float) -> None:
        with path.open("rb") as file:
            self._data = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        self._is_ranged, self._bytes_per_s = is_ranged, mb_per_s * 1e6
        self._lock = threading.Lock()
        self.n_bytes = self.n_requests = 0

    def __call__(self, handler: Handler) -> None:
        size = len(self._data)
        start, end = _wanted(handler, size) if self._is_ranged else (0, size)
        if self._is_ranged:
            handler.send_response(206)
            handler.send_header("Content-Range", f"bytes {start}-{end - 1}/{size}")
            handler.send_header("ETag", '"one"')
        else:
            handler.send_response(200)
        handler.send_header("Content-Length", str(end - start))
        handler.end_headers()
        self._count(0, n_requests=1)
        begun_s = time.monotonic()
        for at in range(start, end, _PIECE_BYTES):
            piece = self._data[at : min(at + _PIECE_BYTES, end)]
            handler.wfile.write(piece)
            self._count(len(piece))
            due_s = begun_s + (at + len(piece) - start) / self._bytes_per_s
            time.sleep(max(0.0, due_s - time.monotonic()))

    def _count(self, n_bytes: int, n_requests: int = 0) -> None:
        with self._lock:
            self.n_bytes += n_bytes
            self.n_requests += n_requests


def _wanted(handler: Handler, size: int) -> tuple[int, int]:
    first, _, last = handler.headers.get("Range", "bytes=0-").removeprefix("bytes=").partition("-")
    return int(first), int(last) + 1 if last else size
