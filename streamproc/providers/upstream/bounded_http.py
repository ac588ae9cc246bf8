"""HTTP to an upstream within bounds: how long in all, how large, in no encoding but its own.

httpx waits per read, and decodes whatever the other side says that it has encoded. So answers are
read raw, and the connection is hung up on when its time is over: a byte now and then is no answer,
and neither is one without end. Every exchange has a connection of its own, known from its first
moment, so `Connections.abort` ends it in whatever phase it is.
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
    """The answer is larger than one may be, or in an encoding that was not asked for."""


class Answer(NamedTuple):
    """A whole answer, whatever its status."""

    status: int
    body: bytes


class Connections:
    """What is connected for one task; `abort` ends all of it, and whatever comes later."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._running: dict[object, Callable[[], None]] = {}
        self._aborted = False

    def abort(self) -> None:
        """Any thread, any number of times."""
        with self._lock:
            self._aborted = True
            running = [*self._running.values()]
        for end in running:
            end()

    @contextmanager
    def ends(self, end: Callable[[], None]) -> Iterator[None]:
        """Have `end` called by `abort`; at once when that has been called already."""
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
    """The sockets of one exchange, told by httpx while it connects (its `trace` extension)."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._open: list[socket.socket] = []
        self._ended = False

    def trace(self, event: str, info: dict[str, Any]) -> None:
        """Take an event of httpcore."""
        if event not in {"connection.connect_tcp.complete", "connection.start_tls.complete"}:
            return
        found = info["return_value"].get_extra_info("socket")
        with self._lock:
            self._open.append(found)
            ended = self._ended
        if ended:
            _hang_up(found)

    def hang_up(self) -> None:
        """Wake whoever reads, or will; any thread."""
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
    """Return the answer. Raises `httpx.HTTPError` (a timeout, too) and `BadAnswerError`.

    A thread of its own asks: resolving a name, for one, can be waited for, but not ended.
    """
    future: Future[Answer] = Future()
    sockets = Sockets()
    over = threading.Event()

    def exchange() -> None:
        try:
            with client() as http:
                future.set_result(_exchange(http, request(http, sockets)))
        except BaseException as exc:  # noqa: BLE001 - who waits for it raises it
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
    """Raises `BadAnswerError` when the body is encoded: nobody has asked for that."""
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
        # The plain socket's own: a TLS socket's would take its state from the reader.
        socket.socket.shutdown(one, socket.SHUT_RDWR)
