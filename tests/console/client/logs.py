"""Builders of logs, and a real HTTP server that serves one and cuts where it is told to."""

import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self
from urllib.parse import parse_qs, urlsplit

from streamproc.contract.framing import DONE, frame_event
from tests.id_first import frame_id_first


def make_log(n_events: int = 40) -> bytes:
    """Return a closed log of events of growing and shrinking sizes.

    An earlier version began it: the first third has `id` before `data`.
    """
    log = b""
    for i in range(n_events):
        frame = frame_id_first if i < n_events // 3 else frame_event
        log += frame(b'{"n":%d,"pad":"%b"}' % (i, b"x" * (i * 37 % 500)), len(log))
    return log + frame_event(DONE, len(log))


class CuttingServer:
    """Serves `log` at any path from `?offset=`; `n_bytes(k)` of connection k are let through.

    A connection that is cut promised more than it sent. Answers 204 at the log's end.
    """

    def __init__(self, log: bytes, n_bytes: Callable[[int], int | None]) -> None:
        self.log = log
        self.offsets: list[int] = []
        self.statuses: dict[int, int] = {}
        self.shift = 0
        self.first = 0
        """Bytes before it have expired."""
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                outer._serve(self, n_bytes)

            def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base's name
                """Stay quiet."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def _serve(self, request: BaseHTTPRequestHandler, n_bytes: Callable[[int], int | None]) -> None:
        k = len(self.offsets)
        query = parse_qs(urlsplit(request.path).query)
        offset = self._start(query)
        self.offsets.append(offset)
        status = self.statuses.get(k, 204 if offset == len(self.log) else 200)
        status = 410 if offset < self.first else status
        body = self.log[offset:] if status == 200 else b""
        request.send_response(status)
        if status == 200:
            request.send_header("Stream-Start-Offset", str(offset + self.shift))
        if status == 410:
            request.send_header("Stream-First-Offset", str(self.first))
        if status != 204:
            request.send_header("Content-Length", str(len(body)))
        request.end_headers()
        let_through = n_bytes(k)
        request.wfile.write(body[:let_through])
        if let_through is not None and let_through < len(body):
            request.close_connection = True

    def _start(self, query: dict[str, list[str]]) -> int:
        """Return the offset that is asked for; every moment is in the log's middle."""
        if "from" in query:
            return self.log.index(b"\n\n", len(self.log) // 2) + 2
        text = query["offset"][0]
        return len(self.log) if text == "end" else int(text)
