"""HTTP client for an upstream, with limits: total time, size, and no content encoding.

httpx applies its timeout per read, and decodes every content encoding that the server declares.
Therefore responses are read raw, and the connection is shut down when its total time is over: a
slow trickle of bytes is no response, and neither is an endless one. Each exchange has its own
connection, registered from the start, so `Connections.abort` ends it in any phase.
"""

import contextlib
import socket
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from typing import Any, NamedTuple

import httpx

MAX_ANSWER_BYTES = 64 * 1024


class BadAnswerError(Exception):
    """The response is over the size limit, or has an encoding that was not requested."""


class Answer(NamedTuple):
    """A complete response, with any status."""

    status: int
    body: bytes


class Connections:
    """Connections of one task; `abort` ends all of them, and all later ones."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._running: dict[object, Callable[[], None]] = {}
        self._aborted = False

    def abort(self) -> None:
        """End all connections. Thread-safe; may be called any number of times."""
        with self._lock:
            self._aborted = True
            running = [*self._running.values()]
        for end in running:
            end()

    @contextmanager
    def ends(self, end: Callable[[], None]) -> Iterator[None]:
        """Register `end` to be called by `abort`; it is called at once after an `abort`."""
        key = object()
        with self._lock:
            self._running[key] = end
            aborted = self._aborted
        try:
            if aborted:
                end()
            yield
        finally:
            with self._lock:
                del self._running[key]


class Sockets:
    """The sockets of one exchange, reported by httpx while it connects (`trace` extension)."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._open: list[socket.socket] = []
        self._ended = False

    def trace(self, event: str, info: dict[str, Any]) -> None:
        """Handle a trace event of httpcore."""
        if event not in {"connection.connect_tcp.complete", "connection.start_tls.complete"}:
            return
        found = info["return_value"].get_extra_info("socket")
        with self._lock:
            self._open.append(found)
            ended = self._ended
        if ended:
            _hang_up(found)

    def hang_up(self) -> None:
        """Shut the sockets down; wakes current and later readers. Thread-safe."""
        with self._lock:
            self._ended = True
            sockets = [*self._open]
        for one in sockets:
            _hang_up(one)


def ask(
    client: Callable[[], httpx.Client],
    request: Callable[[httpx.Client, Sockets], httpx.Request],
    total_s: float,
    connections: Connections,
) -> Answer:
    """Return the response. Raises `httpx.HTTPError` (also on a timeout) and `BadAnswerError`.

    The request runs in a separate thread, because some steps, such as name resolution, cannot be
    interrupted.
    """
    future: Future[Answer] = Future()
    sockets = Sockets()
    over = threading.Event()

    def exchange() -> None:
        try:
            with client() as http:
                future.set_result(_exchange(http, request(http, sockets)))
        except BaseException as exc:  # noqa: BLE001 - the waiting caller raises it
            future.set_exception(exc)
        finally:
            over.set()

    threading.Thread(target=exchange, name="upstream-ask", daemon=True).start()

    def end() -> None:
        sockets.hang_up()
        over.set()

    with connections.ends(end):
        over.wait(total_s)
    if future.done():
        return future.result()
    sockets.hang_up()
    raise httpx.ReadTimeout("no whole answer in time")


def check_encoding(answer: httpx.Response) -> None:
    """Raise `BadAnswerError` if the body has a content encoding: none was requested."""
    if answer.headers.get("content-encoding", "identity").strip().lower() not in {"", "identity"}:
        raise BadAnswerError("the upstream used a content encoding that was not requested")


def _exchange(http: httpx.Client, request: httpx.Request) -> Answer:
    answer = http.send(request, stream=True)
    with contextlib.closing(answer):
        check_encoding(answer)
        body = bytearray()
        for part in answer.iter_raw():
            body += part
            if len(body) > MAX_ANSWER_BYTES:
                raise BadAnswerError(f"the upstream's answer is over {MAX_ANSWER_BYTES} bytes")
        return Answer(answer.status_code, bytes(body))


def _hang_up(one: socket.socket) -> None:
    with contextlib.suppress(OSError):
        # The plain socket's method: a TLS socket's would take its state away from the reader.
        socket.socket.shutdown(one, socket.SHUT_RDWR)
