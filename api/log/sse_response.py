"""ASGI response for log bytes as server-sent events: headers at once, no copies, prompt end."""

import asyncio
import contextlib
import random
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, cast

import structlog
from litestar.response.base import ASGIResponse

from api.errors import ProblemError
from api.log.cursor import LogCursor
from api.log.key_expiry import KeyWatch
from api.log.negotiation import Body
from api.log.notifier import StoppingError
from api.log.send_timeout import SendDeadlines, SendWatch, Transport, transport_of

if TYPE_CHECKING:
    from litestar.types import HTTPResponseBodyEvent, Receive, Scope, Send

BARE_HEADERS = {"Cache-Control": "no-cache, no-transform", "X-Accel-Buffering": "no"}
"""Headers of responses without a body: some clients take a 204 with a Content-Type for a stream."""
HEADERS = {"Content-Type": "text/event-stream"} | BARE_HEADERS
HEARTBEAT = b":\n\n"
"""An SSE comment. It cannot be confused with log bytes at any offset: a log has no empty data."""
_RETRY_MS = (1000, 4000)

_log = structlog.get_logger("framewire.api.log")


class LogResponse(ASGIResponse):
    """Sends the log bytes of `body`, read through a cursor.

    With a known end the length is declared, so pieces are sent from memory without copies. Without
    one the response is chunked, and `Broadcast` writes its chunks at the live end. HTTP/1.0 has no
    chunks: there each reader's own task sends its bytes.

    If a log cannot be sent to its end, the connection is aborted, so that it does not look
    complete: the client sees a broken transfer and reconnects. With `key_watch` the same happens
    once the key that opened the stream is not valid any more; a reconnecting client then gets 401.

    `heartbeat_s` sends a `retry:` line first, and a comment after every such time of silence. Both
    end with a blank line. A comment is always between two events, since a log ends with an event.
    """

    _should_set_content_length = False
    on_end: Callable[[], None] | None = None
    """Called once when the response has ended, whether or not it was sent completely."""

    def __init__(
        self,
        cursor: LogCursor,
        body: Body,
        deadlines: SendDeadlines,
        *,
        heartbeat_s: float | None = None,
        key_watch: KeyWatch | None = None,
    ) -> None:
        headers = HEADERS | body.headers
        self._plain = heartbeat_s is None
        if body.end is not None and self._plain:
            headers["Content-Length"] = str(body.end - body.start)
        super().__init__(status_code=body.status, headers=headers)
        self._cursor = cursor
        self._end = body.end
        self._deadlines = deadlines
        self._heartbeat_s = heartbeat_s
        self._key_watch = key_watch
        self._outlet: Transport | None = None
        self._is_chunked = False

    async def __call__(self, scope: "Scope", receive: "Receive", send: "Send") -> None:
        self._outlet = transport_of(scope)
        self._is_chunked = scope["http_version"] == "1.1"
        try:
            await super().__call__(scope, receive, send)
        finally:
            if self.on_end is not None:
                self.on_end()

    async def send_body(self, send: "Send", receive: "Receive") -> None:
        """Send the log until its end, a disconnect, the send timeout, key expiry or shutdown."""
        loop = asyncio.get_running_loop()
        gone = asyncio.create_task(_disconnected(receive))
        lease: SendWatch | None = None
        whole = sent = False
        try:
            async with asyncio.timeout(None) as scope:
                lease = SendWatch(scope, self._outlet)
                self._deadlines.add(lease)

                def leave(_: Any) -> None:
                    if not sent:  # the callback may already be scheduled when it is removed
                        scope.reschedule(loop.time())

                gone.add_done_callback(leave)
                try:
                    with self._living(lease, loop):
                        await self._send_log(send, lease, loop)
                    whole = True
                finally:
                    sent = True
                    gone.remove_done_callback(leave)
                    self._deadlines.remove(lease)
        except TimeoutError:
            self._tell(lease)
        except StoppingError:
            pass
        except ProblemError as exc:
            _log.warning("stream aborted", code=exc.code, detail=exc.detail)
        finally:
            gone.cancel()
        if not whole and self._outlet is not None:
            self._outlet.abort()
            await asyncio.sleep(0)  # let the server see the abort before the response returns

    @contextlib.contextmanager
    def _living(self, lease: SendWatch, loop: asyncio.AbstractEventLoop) -> Iterator[None]:
        """End the response once the key that opened it is not valid any more."""
        if self._key_watch is None:
            yield
            return

        def end() -> None:
            lease.dead = True
            lease.scope.reschedule(loop.time())

        key_expiry, key = self._key_watch
        key_expiry.add(key, end)
        try:
            yield
        finally:
            key_expiry.remove(key, end)

    def _tell(self, lease: SendWatch | None) -> None:
        """Log why a response was ended, unless the client disconnected."""
        if lease is not None and lease.expired:
            _log.info(
                "stream closed: the client did not read within the send timeout",
                offset=self._cursor.offset,
            )
        elif lease is not None and lease.dead:
            _log.info("stream closed: its key is no longer valid", offset=self._cursor.offset)

    async def _send_log(
        self, send: "Send", lease: SendWatch, loop: asyncio.AbstractEventLoop
    ) -> None:
        async def out(data: bytes | memoryview, *, more: bool = True) -> None:
            lease.sending_since_s = loop.time()
            await send(_event(data, more=more))
            lease.sending_since_s = None

        cursor = self._cursor
        await out(b"" if self._plain else b"retry: %d\n\n" % random.randint(*_RETRY_MS))  # noqa: S311
        while (piece := await cursor.read(self._end)) is not None:
            if piece:
                await out(piece)
            elif self._end is not None and cursor.offset >= self._end:
                break
            elif not await self._more():
                await out(HEARTBEAT)
        await out(b"", more=False)

    async def _more(self) -> bool:
        """Wait at the log's live end; return False after `heartbeat_s` of silence."""
        if self._outlet is None or self._end is not None or not self._is_chunked:
            return await self._cursor.wait(self._heartbeat_s)
        return await self._cursor.follow(self._outlet, self._heartbeat_s)


def _event(data: bytes | memoryview, *, more: bool) -> "HTTPResponseBodyEvent":
    """Return the ASGI event. Servers accept any buffer, and a memoryview saves a copy."""
    return {"type": "http.response.body", "body": cast("bytes", data), "more_body": more}


async def _disconnected(receive: "Receive") -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
