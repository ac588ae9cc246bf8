"""An HTTP proxy before an S3 that spoils what it is told to: the answers of a store in trouble.

The store sees the requests as they were signed. Each fault strikes requests from the moment it is
set, for all or for a share of them.
"""

import http.client
import random
import socket
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Final, Literal, get_args

Fault = Literal["503", "500", "reset", "truncated", "slow", "hang", "skew", "lost", "away"]
"""`slow`: 5 s before each answer. `skew`: what a store says whose clock is another. `lost`: the
request is carried out, and its acknowledgement does not arrive. `away`: nobody is there."""
FAULTS: Final[tuple[Fault, ...]] = get_args(Fault)
SLOW_S: Final = 5.0
_CODES: Final = {"503": "SlowDown", "500": "InternalError", "skew": "RequestTimeTooSkewed"}
_HOP: Final = frozenset({"connection", "keep-alive", "transfer-encoding", "expect"})
_TIMEOUT_S: Final = 60.0


class S3FaultProxy(ThreadingHTTPServer):
    """Serves on `127.0.0.1:port` in front of another port."""

    daemon_threads = True
    block_on_close = False

    def __init__(self, target_port: int, seed: int = 1) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.target_port = target_port
        self._random = random.Random(seed)
        self._fault: Fault | None = None
        self._share = 1.0
        self._lock = threading.Lock()
        self._healed = threading.Event()
        self._healed.set()
        self.done: Counter[Fault] = Counter()
        """How many requests each fault has struck."""
        self._thread = threading.Thread(
            target=self.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True
        )
        self._thread.start()

    @property
    def port(self) -> int:
        return int(self.server_address[1])

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def fail(self, fault: Fault, share: float = 1.0) -> None:
        """Spoil a share of the requests from now on."""
        with self._lock:
            self._fault, self._share = fault, share
            self._healed.clear()

    def heal(self) -> None:
        """Spoil nothing any more; who hangs is let go."""
        with self._lock:
            self._fault = None
            self._healed.set()

    def next_fault(self) -> Fault | None:
        """Return what becomes of a request that has come now."""
        with self._lock:
            fault = self._fault
            if fault is None or self._random.random() >= self._share:
                return None
            self.done[fault] += 1
            return fault

    def until_healed(self, timeout_s: float) -> None:
        self._healed.wait(timeout_s)

    def close(self) -> None:
        self.heal()
        self.shutdown()
        self.server_close()
        self._thread.join()

    def handle_error(self, request: object, client_address: object) -> None:
        """Say nothing: a client that hangs up is part of the play."""


@contextmanager
def faulty(endpoint: str, seed: int = 1) -> Iterator[S3FaultProxy]:
    """Run a proxy before the store at `endpoint`, http://host:port."""
    proxy = S3FaultProxy(int(endpoint.rsplit(":", 1)[1]), seed)
    try:
        yield proxy
    finally:
        proxy.close()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: S3FaultProxy

    def do_GET(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        fault = self.server.next_fault()
        if fault in {"slow", "hang"}:
            self.server.until_healed(SLOW_S if fault == "slow" else _TIMEOUT_S)
        if fault in {"reset", "away", "hang"}:
            self._reset()
        elif fault in _CODES:
            self._refuse(fault)
        else:
            self._pass_on(body, fault)

    do_HEAD = do_PUT = do_POST = do_DELETE = do_GET  # noqa: N815 - names of `http.server`

    def handle(self) -> None:
        with suppress(OSError, http.client.HTTPException):
            super().handle()

    def log_message(self, *_: object) -> None:
        """Write nothing."""

    def _refuse(self, fault: Fault) -> None:
        body = f"<?xml version='1.0'?><Error><Code>{_CODES[fault]}</Code></Error>".encode()
        self.send_response(403 if fault == "skew" else int(fault))
        self.send_header("Content-Type", "application/xml")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def _pass_on(self, body: bytes, fault: Fault | None) -> None:
        store = http.client.HTTPConnection("127.0.0.1", self.server.target_port, _TIMEOUT_S)
        try:
            store.putrequest(self.command, self.path, skip_host=True, skip_accept_encoding=True)
            for name, value in self.headers.items():
                if name.lower() not in _HOP:
                    store.putheader(name, value)
            store.endheaders(body or None)
            answer = store.getresponse()
            data = answer.read()
            if fault == "lost":
                self._reset()
                return
            self.send_response(answer.status)
            for name, value in answer.getheaders():
                if name.lower() not in {*_HOP, "content-length", "date", "server"}:
                    self.send_header(name, value)
            is_head = self.command == "HEAD"
            length = answer.getheader("Content-Length") if is_head else str(len(data))
            self.send_header("Content-Length", length or "0")
            self.end_headers()
            self.wfile.write(data[: len(data) // 2] if fault == "truncated" else data)
            self.close_connection = fault == "truncated"
        except (OSError, http.client.HTTPException):
            self._reset()
        finally:
            store.close()

    def _reset(self) -> None:
        """End the connection without a word, as a process that was killed does."""
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        self.close_connection = True
