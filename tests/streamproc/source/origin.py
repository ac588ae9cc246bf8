"""A real HTTP server that can misbehave, on a free port."""

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from tests.streamproc.source.tcp_queues import is_all_read

Behaviour = Callable[["Handler"], None]


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: "Origin"

    def do_GET(self) -> None:
        with self.server.lock:
            self.server.requests.append(self.headers.get("Range"))
        self.server.behave(self)

    def log_message(self, *args: object) -> None:
        """Keep quiet."""

    def handle(self) -> None:
        try:
            super().handle()
        except OSError:
            self.close_connection = True

    def answer(self, status: int, body: bytes, **headers: str) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def answer_range(self, body: bytes, etag: str = '"one"') -> None:
        first, last = self.headers["Range"].removeprefix("bytes=").split("-")
        start, end = int(first), int(last) if last else len(body) - 1
        if start >= len(body):
            self.answer(416, b"")
            return
        part = body[start : end + 1]
        place = f"bytes {start}-{start + len(part) - 1}/{len(body)}"
        self.answer(206, part, Content_Range=place, ETag=etag)

    def wait_until_read(self) -> None:
        """Wait until the client has read all that was sent, or is gone: a socket holds 16 MB."""
        ends = self.connection.getsockname(), self.connection.getpeername()
        while not is_all_read(*ends):
            time.sleep(0.002)

    def reset(self) -> None:
        linger = b"\x01\x00\x00\x00\x00\x00\x00\x00"
        self.wfile.flush()
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        self.close_connection = True

    def hang(self) -> None:
        self.server.released.wait()
        self.close_connection = True


class Origin(ThreadingHTTPServer):
    daemon_threads = False
    block_on_close = True

    def __init__(self, behave: Behaviour) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.behave = behave
        self.lock = threading.Lock()
        self.requests: list[str | None] = []
        self.released = threading.Event()

    @property
    def authority(self) -> str:
        return f"127.0.0.1:{self.server_address[1]}"

    @property
    def url(self) -> str:
        return f"http://user:pass@{self.authority}/secret/clip.mp4?X-Signature=secret"

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that hangs up is part of the play."""


@contextmanager
def serving(behave: Behaviour) -> Iterator[Origin]:
    origin = Origin(behave)
    thread = threading.Thread(target=origin.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield origin
    finally:
        origin.released.set()
        origin.shutdown()
        thread.join()
        origin.server_close()
