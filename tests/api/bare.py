"""The server without the service: the real protocol before a small application, and raw sockets."""

import asyncio
import socket
import threading
import time
from collections.abc import AsyncIterator, Callable
from typing import Any, Self

import msgspec
import uvicorn
from litestar import Litestar, get, post
from litestar.response import Stream

from api.errors import problem_response
from api.http.body_limits import pieces
from api.routes.dependencies import AnyRequest
from api.server.config import server_config
from api.server.connections import Connections
from api.server.limits import Limits

WAIT_S = 10.0
LIMITS = Limits(connections=64, connections_per_address=32)


@get("/")
async def _hello() -> str:
    return "hello"


@get("/client")
async def _client(request: AnyRequest) -> str:
    return str(request.scope["client"])


@get("/stream")
async def _stream() -> Stream:
    async def forever() -> AsyncIterator[bytes]:
        while True:
            yield b"more\n"
            await asyncio.sleep(0.01)

    return Stream(forever())


@post("/length")
async def _length(request: AnyRequest) -> int:
    return sum([len(piece) async for piece in pieces(request)])


@post("/unread")
async def _unread() -> str:
    return "not read"


class BareServer:
    """Serves in a thread of its own, on a free port."""

    def __init__(self, **changes: Any) -> None:
        self.app = Litestar(
            [_hello, _client, _stream, _length, _unread],
            exception_handlers={Exception: problem_response},
            logging_config=None,
        )
        limits = msgspec.structs.replace(LIMITS, **changes)
        self._server = uvicorn.Server(
            server_config(self.app, limits, host="127.0.0.1", port=0, graceful_s=1)
        )
        self._thread = threading.Thread(target=self._server.run, name="bare-server")

    @property
    def connections(self) -> Connections:
        found: Connections = self.app.state.connections
        return found

    @property
    def port(self) -> int:
        return int(self._server.servers[0].sockets[0].getsockname()[1])

    def __enter__(self) -> Self:
        self._thread.start()
        wait_until(lambda: self._server.started)
        return self

    def __exit__(self, *_: object) -> None:
        self._server.should_exit = True
        self._thread.join(WAIT_S)
        assert not self._thread.is_alive()

    def connect(self, host: str = "127.0.0.1") -> socket.socket:
        """Return a connection that comes from the address `host` of the loopback network."""
        return socket.create_connection(("127.0.0.1", self.port), WAIT_S, (host, 0))

    def ask(self, data: bytes, *more: bytes, host: str = "127.0.0.1") -> bytes:
        """Send the pieces, and return all that comes back until the server closes."""
        with self.connect(host) as connection:
            for piece in (data, *more):
                try:
                    connection.sendall(piece)
                except OSError:  # it has its answer already
                    break
            return read_all(connection)


def read_all(connection: socket.socket) -> bytes:
    """Return what comes until the other side closes."""
    found = b""
    try:
        while piece := connection.recv(65536):
            found += piece
    except ConnectionResetError:
        pass
    return found


def read_answer(connection: socket.socket) -> bytes:
    """Return one answer with a declared length."""
    found = b""
    while b"\r\n\r\n" not in found:
        piece = connection.recv(65536)
        assert piece, found
        found += piece
    head, _, body = found.partition(b"\r\n\r\n")
    length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
    while len(body) < length:
        body += connection.recv(65536)
    return head + b"\r\n\r\n" + body


def wait_until(condition: Callable[[], object], within_s: float = WAIT_S) -> None:
    deadline_s = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < deadline_s, "it did not come to pass"
        time.sleep(0.01)
