"""A small real Video API over HTTP that can misbehave, on a free port: the reference's dialect.

Its events have `data:` lines alone, so whoever follows has to count bytes.
"""

import json
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

KEY = "upstream-secret"
PROCESS = "/v1/video/process"
Behaviour = Callable[["Handler"], None]


def frame_event(index: int, *, x: int = 10, **target: Any) -> bytes:
    """Return the event of one frame with one target."""
    found = {
        "track_id": 1,
        "class": "pedestrian",
        "confidence": 0.9,
        "roi": {"left": x, "top": 20, "width": 30, "height": 40},
        **target,
    }
    return _event(
        {"results": [{"index": 0, "targets": [found]}]}, index=index, decoded=index + 1, reason=None
    )


def end_event(reason: str, n_frames: int, **more: Any) -> bytes:
    """Return the terminal's event, `[DONE]` after it."""
    more = {"usage": {"processed_frames": n_frames, "processing_time_ms": 5}, **more}
    event = _event({"results": []}, index=n_frames - 1, decoded=n_frames, reason=reason, **more)
    return event + b"data: [DONE]\n\n"


def _event(
    delta: dict[str, Any], *, index: int, decoded: int, reason: str | None, **more: Any
) -> bytes:
    chunk = {
        "id": "mm-pipe-there",
        "object": "mm.pipeline.chunk",
        "stream_info": {
            "frame_index": max(index, 0),
            "total_frames": 50,
            "decoded_frames": decoded,
            "dropped_frames": 2,
            "fps": 25.0,
            "elapsed_ms": 40 * decoded,
        },
        "delta": delta,
        "finish_reason": reason,
        **more,
    }
    return b"data: " + json.dumps(chunk).encode() + b"\n\n"


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: "VideoApi"

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if self.path == PROCESS:
            with self.server.changed:
                headers = {name.lower(): value for name, value in self.headers.items()}
                self.server.submissions.append((headers, json.loads(body)))
                self.server.changed.notify_all()
            self.server.submit(self)
        else:
            with self.server.changed:
                self.server.cancels.append(self.path)
                self.server.changed.notify_all()
            self.answer(202, b"{}")

    def do_GET(self) -> None:
        with self.server.changed:
            self.server.offsets.append(self.offset)
            self.server.changed.notify_all()
        self.server.stream(self)

    @property
    def offset(self) -> int:
        return int(self.headers.get("Last-Event-ID", 0))

    def log_message(self, *args: object) -> None:
        """Keep quiet."""

    def handle(self) -> None:
        with suppress(OSError):
            super().handle()

    def accept(self) -> None:
        self.answer(202, json.dumps({"id": "up_1", "status": "pending"}).encode())

    def answer(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def begin(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Connection", "close")
        self.end_headers()
        self.close_connection = True

    def serve(self, log: bytes) -> None:
        """Send the log from the asked offset on, and end."""
        self.begin()
        self.wfile.write(log[self.offset :])

    def reset(self) -> None:
        linger = b"\x01\x00\x00\x00\x00\x00\x00\x00"
        self.wfile.flush()
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        self.close_connection = True

    def hang(self) -> None:
        """Say nothing until the other side hangs up, or the server ends."""
        self.wfile.flush()
        self.connection.settimeout(0.05)
        while not self.server.released.is_set():
            try:
                if not self.connection.recv(1):
                    break
            except TimeoutError:
                continue
            except OSError:
                break
        with self.server.changed:
            self.server.n_hung_up += 1
            self.server.changed.notify_all()
        self.close_connection = True


class VideoApi(ThreadingHTTPServer):
    """What it was asked is kept: `submissions` (lower-case headers, body), `offsets`, `cancels`."""

    def __init__(self, *, submit: Behaviour = Handler.accept, stream: Behaviour) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.submit, self.stream = submit, stream
        self.submissions: list[tuple[dict[str, str], dict[str, Any]]] = []
        self.offsets: list[int] = []
        self.cancels: list[str] = []
        self.n_hung_up = 0
        self.changed = threading.Condition()
        self.released = threading.Event()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def wait(self, condition: Callable[[], bool], timeout_s: float = 10.0) -> None:
        with self.changed:
            assert self.changed.wait_for(condition, timeout_s)

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that hangs up is part of the play."""


@contextmanager
def video_api(*, submit: Behaviour = Handler.accept, stream: Behaviour) -> Iterator[VideoApi]:
    server = VideoApi(submit=submit, stream=stream)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield server
    finally:
        server.released.set()
        server.shutdown()
        thread.join()
        server.server_close()
