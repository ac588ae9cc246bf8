"""uvicorn HTTP protocol with limits on heads, time and connections.

uvicorn itself waits for ever, buffers heads without limit, and accepts every connection. Deadlines
need no timer per connection: one sweep per process checks them all.
"""

import asyncio
from enum import Enum
from typing import Any

import httptools
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from api.errors import BadRequestError, ProblemError
from api.server.address import counted, forwarded_address, is_trusted, peer_address
from api.server.connections import Connections, Reason
from api.server.head import check_head, head_too_large, url_too_long
from api.server.http10 import send_unframed
from api.server.refusal import refusal

PIECE_BYTES = 4 * 1024
CHUNK_FRAMING_BYTES = 32  # a chunk's size in hexadecimal, line ends, and a short extension
HEADER_SEPARATORS_BYTES = 4

_MALFORMED = BadRequestError("This is not a valid HTTP request.", code="bad_head")
_FULL = ProblemError(
    "The server has as many connections as it can take.",
    status=503,
    code="too_many_connections",
    title="Service Unavailable",
    headers={"Retry-After": "2"},
)
_TOO_MANY = ProblemError(
    "This address has as many connections as it may have.",
    status=429,
    code="too_many_connections",
    title="Too Many Requests",
    headers={"Retry-After": "2"},
)
_TOO_SLOW = ProblemError(
    "The request did not arrive in time.",
    status=408,
    code="request_timeout",
    title="Request Timeout",
)
_REASONS: dict[int, Reason] = {
    400: "malformed",
    414: "head",
    429: "address",
    431: "head",
    503: "head",
}


class Phase(Enum):
    """The phase of a connection: what its client is expected to send now."""

    SILENT = "nothing came yet"
    HEAD = "a head is arriving"
    BODY = "a body is arriving"
    ANSWER = "nothing: the answer is under way"
    IDLE = "the next request, or nothing"
    LINGER = "what is left of a request that has its answer"


class Sweep:
    """Periodic check of the deadlines of all connections, as long as there are any."""

    def __init__(self, connections: Connections) -> None:
        self.connections = connections
        self._period_s = min(1.0, connections.limits.head_s / 4)
        self._timer: asyncio.TimerHandle | None = None

    def arm(self, loop: asyncio.AbstractEventLoop) -> None:
        """Start the periodic check unless it is running."""
        if self._timer is None:
            self._timer = loop.call_later(self._period_s, self._run, loop)

    def _run(self, loop: asyncio.AbstractEventLoop) -> None:
        self._timer = None
        self.connections.sweep(loop.time())
        if len(self.connections):
            self.arm(loop)
        else:
            self.connections.rest()


class BoundedProtocol(HttpToolsProtocol):
    """One HTTP connection, under the limits of its server."""

    def __init__(self, *args: Any, sweep: "Sweep", **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.counted_as: str | None = None
        self._sweep = sweep
        self._connections = connections = sweep.connections
        self._limits = connections.limits
        self._phase = Phase.SILENT
        self._deadline_s = 0.0
        self._by_proxy = False
        self._request_of: str | None = None  # the client that a proxy's request is counted for
        self._deaf = False  # refused: further input is discarded
        self._in_head = False
        self._n_fields = 0
        self._head_bytes = 0
        self._held_head_bytes = 0
        self._body_left_bytes: int | None = 0  # None: chunked
        self._body_bytes = 0
        self._body_wait_s = 0.0
        self._n_chunks = 0
        self._framing_bytes = 0

    # -- the connection

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        address = peer_address(self.client)
        self._by_proxy = is_trusted(address, self._limits.trusted_proxies)
        self.counted_as = None if self._by_proxy else counted(address)
        self._expect(Phase.SILENT, self._limits.head_s)
        self._sweep.arm(self.loop)
        reason = self._connections.admit(self)
        if reason is not None:
            transport.write(refusal(_FULL if reason == "connections" else _TOO_MANY))
            self._deaf = True
            transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        self._connections.leave(self)
        self._forget_request()
        super().connection_lost(exc)

    def drop(self) -> None:
        self._deaf = True
        self.transport.abort()

    def check(self, now_s: float, passed_s: float) -> None:
        """End the connection if the expected input has not arrived in time."""
        if self.transport.is_closing():
            if now_s >= self._deadline_s:  # the client does not read the remaining output
                self.transport.abort()
        elif self._phase is Phase.BODY:
            if self.flow.read_paused:  # the server paused reading, the client is not slow
                return
            self._body_wait_s += passed_s
            rate = self._limits.body_bytes_per_s
            if rate and self._body_wait_s > self._limits.body_grace_s + self._body_bytes / rate:
                self.refuse(_TOO_SLOW, "slow_body")
        elif self._phase is not Phase.ANSWER and now_s >= self._deadline_s:
            if self._phase is Phase.HEAD:
                self.refuse(_TOO_SLOW, "slow_head")
                return
            if self._phase is Phase.SILENT:
                self._connections.n_refused["silent"] += 1
            self._deadline_s = now_s + self._limits.linger_s
            self.transport.close()

    def refuse(self, problem: ProblemError, reason: Reason) -> None:
        """Send `problem` instead of the application's response, and close.

        If a response has already begun, the connection is aborted.
        """
        self._connections.n_refused[reason] += 1
        cycle = self.cycle
        if cycle is not None and not cycle.response_complete:
            cycle.disconnected = True
            cycle.message_event.set()
            if cycle.response_started or self.pipeline:
                self.drop()
                return
        self._deaf = True
        self._forget_request()
        self.transport.write(refusal(problem, self.server_state.default_headers))
        self._linger(ended=True)

    # -- received data

    def data_received(self, data: bytes) -> None:
        view = memoryview(data)
        while view and not self._deaf and not self.transport.is_closing():
            size_bytes = len(view) if self._body_left_bytes else PIECE_BYTES
            piece = view[: min(size_bytes, self._body_left_bytes or size_bytes)]
            view = view[len(piece) :]
            try:
                self._take(piece)
            except httptools.HttpParserUpgrade:
                return  # upgrades are not supported: the request is answered as plain HTTP
            except (ProblemError, httptools.HttpParserError) as exc:
                # The parser wraps exceptions of its callbacks.
                cause = exc if isinstance(exc, ProblemError) else exc.__context__
                problem = cause if isinstance(cause, ProblemError) else _MALFORMED
                self.refuse(problem, _REASONS[problem.status])

    def _take(self, piece: memoryview) -> None:
        """Parse a piece. Without pipelining it belongs to one head or to one body."""
        was_in_head, body_bytes = self._in_head, self._body_bytes
        in_chunks = self._body_left_bytes is None
        self.parser.feed_data(piece)
        if self._in_head and not was_in_head:
            self._head_bytes = max(self._head_bytes, len(piece))
        elif self._in_head:
            self._head_bytes += len(piece)
        elif in_chunks and self._body_left_bytes is None:
            self._framing_bytes += len(piece) - (self._body_bytes - body_bytes)
            allowed = self._limits.framing_bytes + self._n_chunks * CHUNK_FRAMING_BYTES
            if self._framing_bytes > allowed:
                raise BadRequestError("The chunks have too much around them.", code="bad_chunks")
        if self._in_head:
            self._bound_head()

    def _bound_head(self) -> None:
        if self._head_bytes > self._limits.head_bytes:
            raise head_too_large(self._limits)
        more_bytes = self._head_bytes - self._limits.small_head_bytes - self._held_head_bytes
        if more_bytes > 0:
            heads = self._connections.large_heads
            if not heads.fits(more_bytes):
                raise _FULL
            heads.take(more_bytes)
            self._held_head_bytes += more_bytes

    # -- the parser's callbacks

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._in_head = True
        self._n_fields = self._head_bytes = 0
        if self._phase is not Phase.ANSWER:
            self._expect(Phase.HEAD, self._limits.head_s)

    def on_url(self, url: bytes) -> None:
        if len(self.url) + len(url) > self._limits.url_bytes:
            raise url_too_long(self._limits)
        super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        if not self._in_head:
            return  # ignore a trailer: it must not change the head after the body
        self._n_fields += 1
        if self._n_fields > self._limits.head_fields:
            raise head_too_large(self._limits)
        super().on_header(name, value)

    def on_headers_complete(self) -> None:
        self._in_head = False
        sizes = (len(name) + len(value) + HEADER_SEPARATORS_BYTES for name, value in self.headers)
        if len(self.url) + sum(sizes) > self._limits.head_bytes:
            raise head_too_large(self._limits)
        self._body_left_bytes = check_head(self.parser.get_http_version(), self.headers)
        self._body_bytes = self._n_chunks = self._framing_bytes = 0
        self._body_wait_s = 0.0
        if self._by_proxy and self._request_of is None:
            address = forwarded_address(self.headers, self._limits.trusted_proxies)
            if not self._connections.begin(counted(address)):
                raise _TOO_MANY
            self._request_of = counted(address)
            if address is not None:
                self.scope["client"] = (str(address), 0)
        self._connections.works(self)
        self._phase = Phase.BODY
        super().on_headers_complete()
        if self.parser.get_http_version() != "1.1":
            cycle: Any = self.cycle  # the application has not run yet
            cycle.send = send_unframed(cycle)

    def on_chunk_header(self) -> None:
        self._n_chunks += 1

    def on_body(self, body: bytes) -> None:
        self._body_bytes += len(body)
        if self._body_left_bytes is not None:
            self._body_left_bytes -= len(body)
        super().on_body(body)

    def on_message_complete(self) -> None:
        self._body_left_bytes = 0
        super().on_message_complete()
        answered = self.cycle is None or self.cycle.response_complete
        if answered:
            self._rest()
        else:
            self._phase = Phase.ANSWER

    def on_response_complete(self) -> None:
        cycle, n_pipelined = self.cycle, len(self.pipeline)
        super().on_response_complete()
        self._unset_keepalive_if_required()  # `check` closes idle connections instead
        if not cycle.response_complete or n_pipelined:
            return
        cycle.body = bytearray()
        if cycle.more_body:
            self._linger()
        elif self._in_head:
            self._forget_request()
            self._expect(Phase.HEAD, self._limits.head_s)
            self._connections.waits(self)
        else:
            self._rest()

    # -- phases

    def _expect(self, phase: Phase, within_s: float) -> None:
        self._phase = phase
        self._deadline_s = self.loop.time() + within_s

    def _rest(self) -> None:
        """Wait for the next request on a keep-alive connection."""
        self._forget_request()
        self._expect(Phase.IDLE, self.timeout_keep_alive)
        self._connections.waits(self)

    def _linger(self, *, ended: bool = False) -> None:
        """Keep reading for a while (lingering close).

        If a connection is closed with unread input, its response may be lost.
        """
        self._expect(Phase.LINGER, self._limits.linger_s)
        self._connections.waits(self)
        self.flow.resume_reading()
        if ended and self.transport.can_write_eof():
            self.transport.write_eof()
        elif ended:
            self.transport.close()

    def _forget_request(self) -> None:
        self._connections.end(self._request_of)
        self._request_of = None
        self._connections.large_heads.give(self._held_head_bytes)
        self._held_head_bytes = 0
