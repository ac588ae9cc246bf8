"""A web server for live video: each path is a function that answers, piece by piece."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass
class Reply:
    """`body`: pieces that are sent as they come; without a length the connection ends them."""

    body: Iterator[bytes] | bytes = b""
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)


@dataclass
class MediaServer:
    """`paths` may be changed at any time. `seen`: path and headers of each request."""

    host: str = ""
    paths: dict[str, Callable[[dict[str, str]], Reply]] = field(default_factory=dict)
    seen: list[tuple[str, dict[str, str]]] = field(default_factory=list)
    stopping: threading.Event = field(default_factory=threading.Event)

    def url(self, path: str) -> str:
        return f"http://{self.host}{path}"

    def file(self, path: str, data: bytes) -> None:
        """Serve bytes, whole or the asked range of them."""

        def answer(headers: dict[str, str]) -> Reply:
            asked = headers.get("range")
            if asked is None:
                return Reply(data)
            start, last = (int(text) for text in asked.removeprefix("bytes=").split("-"))
            told = {"Content-Range": f"bytes {start}-{last}/{len(data)}"}
            return Reply(data[start : last + 1], 206, told)

        self.paths[path] = answer


def _missing(_: dict[str, str]) -> Reply:
    return Reply(status=404)


@contextmanager
def media_server() -> Iterator[MediaServer]:
    server = MediaServer()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            path = self.path.partition("?")[0]
            headers = {name.lower(): value for name, value in self.headers.items()}
            server.seen.append((self.path, headers))
            reply = server.paths.get(path, _missing)(headers)
            self.send_response(reply.status)
            for name, value in reply.headers.items():
                self.send_header(name, value)
            if isinstance(reply.body, bytes):
                self.send_header("Content-Length", str(len(reply.body)))
            self.end_headers()
            with suppress(OSError):
                for piece in [reply.body] if isinstance(reply.body, bytes) else reply.body:
                    if server.stopping.is_set():
                        return
                    self.wfile.write(piece)

        def log_message(self, *_: Any) -> None:
            """Say nothing."""

    http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    http.daemon_threads = True
    server.host = f"127.0.0.1:{http.server_address[1]}"
    thread = threading.Thread(target=http.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.stopping.set()
        http.shutdown()
        http.server_close()
        thread.join()
