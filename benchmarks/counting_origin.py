"""An HTTP server of one file that counts what it sends, at a rate of its own."""

import mmap
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Final

_PIECE_BYTES: Final = 64 * 1024


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: "CountingOrigin"

    def do_GET(self) -> None:
        data = self.server.data
        start, end = self._wanted(len(data))
        if self.server.is_ranged:
            self.send_response(206)
            self.send_header("Content-Range", f"bytes {start}-{end - 1}/{len(data)}")
            self.send_header("ETag", '"one"')
        else:
            self.send_response(200)
            start, end = 0, len(data)
        self.send_header("Content-Length", str(end - start))
        self.end_headers()
        self.server.count(0, n_requests=1)
        self._send(data, start, end)

    def _wanted(self, size: int) -> tuple[int, int]:
        first, _, last = self.headers.get("Range", "bytes=0-").removeprefix("bytes=").partition("-")
        return int(first), int(last) + 1 if last else size

    def _send(self, data: mmap.mmap, start: int, end: int) -> None:
        begun_s = time.monotonic()
        for at in range(start, end, _PIECE_BYTES):
            piece = data[at : min(at + _PIECE_BYTES, end)]
            self.wfile.write(piece)
            self.server.count(len(piece))
            due_s = begun_s + (at + len(piece) - start) / self.server.bytes_per_s
            time.sleep(max(0.0, due_s - time.monotonic()))

    def log_message(self, *args: object) -> None:
        """Keep quiet."""

    def handle(self) -> None:
        try:
            super().handle()
        except OSError:
            self.close_connection = True


class CountingOrigin(ThreadingHTTPServer):
    """Serves the file that `begin` named; `n_bytes` and `n_requests` count from there."""

    daemon_threads = True

    def __init__(self, *, is_ranged: bool, mb_per_s: float) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.is_ranged, self.bytes_per_s = is_ranged, mb_per_s * 1e6
        self.data: mmap.mmap
        self.n_bytes = self.n_requests = 0
        self._lock = threading.Lock()

    @property
    def authority(self) -> str:
        return f"127.0.0.1:{self.server_address[1]}"

    @property
    def url(self) -> str:
        return f"http://{self.authority}/video"

    def begin(self, path: Path) -> None:
        with path.open("rb") as file:
            self.data = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        self.n_bytes = self.n_requests = 0

    def count(self, n_bytes: int, n_requests: int = 0) -> None:
        with self._lock:
            self.n_bytes += n_bytes
            self.n_requests += n_requests


@contextmanager
def counting_origin(*, is_ranged: bool, mb_per_s: float) -> Iterator[CountingOrigin]:
    origin = CountingOrigin(is_ranged=is_ranged, mb_per_s=mb_per_s)
    thread = threading.Thread(target=origin.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield origin
    finally:
        origin.shutdown()
        thread.join()
        origin.server_close()
