"""The foreign protocol over HTTP, as an ASGI application over a `Backend`."""

import asyncio
import random
import re
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

from tests.conformance import payload
from tests.conformance.backend import Backend, LogWriter
from tests.conformance.http import Reply, Request, read_request, send_events
from tests.conformance.streams import (
    DEFAULT_TYPE,
    Append,
    Deed,
    RefusedError,
    StreamState,
    ZombieRefusedError,
    is_close,
    media_type,
    read_append,
)

PREFIX = b"/v1/stream/"
LONG_POLL_S = 2.0
MAX_BODY_BYTES = 2 * 1024 * 1024

_OFFSET = re.compile(r"[0-9]{20}")
_CURSOR_EPOCH_S = 1_728_432_000  # 9 October 2024
_CURSOR_INTERVAL_S = 20
_ALWAYS = {
    "X-Content-Type-Options": "nosniff",
    "Cross-Origin-Resource-Policy": "cross-origin",
    "Access-Control-Allow-Origin": "*",
    "Access-Control-Allow-Methods": "GET, POST, PUT, DELETE, HEAD, OPTIONS",
    "Access-Control-Allow-Headers": "*",
    "Access-Control-Expose-Headers": "*",
}


@dataclass
class Entry:
    """A stream and its log; appends take turns."""

    state: StreamState
    writer: LogWriter
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)

    @property
    def headers(self) -> dict[str, str]:
        closed = {"Stream-Closed": "true"} if self.state.closed else {}
        return {"Stream-Next-Offset": offset_token(self.writer.end), **closed}


class Mount:
    """The application. A stream's url stands for a task; deleting it lets go of the task alone."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend
        self._entries: dict[bytes, Entry] = {}
        self._creating = asyncio.Lock()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            return
        request = await read_request(scope, receive)
        try:
            reply = await self._answer(request)
        except RefusedError as exc:
            reply = Reply(exc.status, exc.headers, str(exc).encode())
        headers = {**_ALWAYS, **reply.headers}
        if reply.events is None and reply.status not in {204, 304} and request.method != "HEAD":
            headers["Content-Length"] = str(len(reply.body))
        await send(
            {
                "type": "http.response.start",
                "status": reply.status,
                "headers": [(k.lower().encode(), v.encode()) for k, v in headers.items()],
            }
        )
        if reply.events is None:
            await send({"type": "http.response.body", "body": reply.body})
        else:
            await send_events(reply.events, receive, send)

    async def _answer(self, request: Request) -> Reply:
        if request.method == "OPTIONS":
            return Reply(204, {})
        if not request.path.startswith(PREFIX):
            raise RefusedError(404, "no stream")
        if len(request.body) > MAX_BODY_BYTES:
            raise RefusedError(413, f"more than {MAX_BODY_BYTES} bytes at once")
        if request.method == "PUT":
            return await self._create(request)
        entry = self._entries.get(request.path)
        if entry is None:
            raise RefusedError(404, "no such stream")
        if request.method == "POST":
            async with entry.lock:
                return await self._append(entry, read_append(request.headers, request.body))
        if request.method == "DELETE":
            del self._entries[request.path]
            return Reply(204, {})
        if request.method == "HEAD":
            return await self._head(entry)
        return await self._read(entry, request)

    async def _create(self, request: Request) -> Reply:
        content_type = request.headers.get("content-type") or DEFAULT_TYPE
        close = is_close(request.headers)
        async with self._creating:
            entry = self._entries.get(request.path)
            if entry is not None:
                same = media_type(entry.state.content_type) == media_type(content_type)
                if not same or entry.state.closed != close:
                    raise RefusedError(409, "the stream exists with another configuration")
                return Reply(200, {"Content-Type": entry.state.content_type, **entry.headers})
            state = StreamState(content_type)
            messages = []
            if request.body:
                messages = payload.split_messages(request.body, as_json=state.is_json)
            entry = Entry(state, await self._backend.create())
            if messages or close:
                body = request.body if messages else b""
                await self._write(entry, Append(body, close, content_type, None, None))
            self._entries[request.path] = entry
        headers = {"Content-Type": content_type, "Location": request.url, **entry.headers}
        return Reply(201, headers)

    async def _append(self, entry: Entry, append: Append) -> Reply:
        state = entry.state
        messages = []
        if append.body and append.content_type and not state.closed:
            messages = payload.split_messages(append.body, as_json=state.is_json)
            if not messages:
                raise RefusedError(400, "nothing to append")
        try:
            verdict = state.judge(append)
        except ZombieRefusedError:
            if not state.closed:
                targets = payload.targets_of(messages, as_json=state.is_json)
                await entry.writer.as_zombie(targets)
            raise
        except RefusedError as exc:
            exc.headers |= entry.headers
            raise
        if verdict.deed is Deed.AGAIN and verdict.again is not None:
            await entry.writer.again(verdict.again)
        if verdict.deed is Deed.APPEND:
            if verdict.claim_first:
                await entry.writer.claim()
            await self._write(entry, append)
        return Reply(verdict.status, entry.headers | verdict.headers)

    async def _write(self, entry: Entry, append: Append) -> None:
        """Write the append's records; it counts once the api gives them out."""
        before = entry.writer.end
        as_json = entry.state.is_json
        messages = payload.split_messages(append.body, as_json=as_json) if append.body else []
        if messages:
            targets = payload.targets_of(messages, as_json=as_json)
            await entry.writer.append(targets, append.producer)
        if append.close:
            await entry.writer.close()
        entry.state.commit(append)
        await self._backend.visible(entry.writer.task, before, entry.writer.end)

    async def _head(self, entry: Entry) -> Reply:
        found = await self._backend.head(entry.writer.task)
        headers = {
            "Content-Type": entry.state.content_type,
            "Cache-Control": "no-store",
            "Stream-Next-Offset": offset_token(found.next_offset),
        }
        return Reply(200, headers | ({"Stream-Closed": "true"} if found.closed else {}))

    async def _read(self, entry: Entry, request: Request) -> Reply:
        token, live = request.given("offset"), request.given("live")
        if live not in {None, "long-poll", "sse"}:
            raise RefusedError(400, "live is long-poll or sse")
        if token is None and live is not None:
            raise RefusedError(400, "a live read needs an offset")
        start = _offset(token, entry.writer.end)
        cursor = _cursor(request.given("cursor"))
        if live == "sse":
            return self._sse(entry, start, cursor)
        if live == "long-poll":
            return await self._long_poll(entry, start, cursor)
        return await self._catch_up(entry, start, request, now=token == "now")

    async def _catch_up(self, entry: Entry, start: int, request: Request, *, now: bool) -> Reply:
        answer = await self._backend.read(entry.writer.task, start, live="false")
        if answer.status not in {200, 204}:
            raise RefusedError(400, "no offset of this stream")
        as_json = entry.state.is_json
        read = _parsed(answer.data, start, as_json=as_json)
        headers = {
            "Content-Type": entry.state.content_type,
            "Stream-Next-Offset": offset_token(answer.next_offset),
            "Stream-Up-To-Date": "true",
            "Cache-Control": "no-store" if now else "private, max-age=60",
        }
        closed = "c" if answer.closed else ""
        if answer.closed:
            headers["Stream-Closed"] = "true"
        if not now:
            tag = f'"{entry.writer.task}:{start}:{answer.next_offset}{closed}"'
            headers["ETag"] = tag
            if request.headers.get("if-none-match") == tag:
                return Reply(304, headers)
        return Reply(200, headers, payload.body_of(read.messages, as_json=as_json))

    async def _long_poll(self, entry: Entry, start: int, cursor: str) -> Reply:
        headers = {
            "Stream-Cursor": cursor,
            "Stream-Up-To-Date": "true",
            "Cache-Control": "no-cache",
        }
        try:
            async with asyncio.timeout(LONG_POLL_S):
                answer = await self._backend.read(entry.writer.task, start, live="long-poll")
        except TimeoutError:
            return Reply(204, headers | entry.headers)
        if answer.status not in {200, 204}:
            raise RefusedError(400, "no offset of this stream")
        headers["Stream-Next-Offset"] = offset_token(answer.next_offset)
        if answer.closed:
            headers["Stream-Closed"] = "true"
        read = _parsed(answer.data, start, as_json=entry.state.is_json)
        if not read.messages:
            return Reply(204, headers)
        headers["Content-Type"] = entry.state.content_type
        return Reply(200, headers, payload.body_of(read.messages, as_json=entry.state.is_json))

    def _sse(self, entry: Entry, start: int, cursor: str) -> Reply:
        headers = {"Content-Type": "text/event-stream", "Cache-Control": "no-cache"}
        if not entry.state.is_text:
            headers["Stream-SSE-Data-Encoding"] = "base64"
        return Reply(200, headers, events=self._events(entry, start, cursor))

    async def _events(self, entry: Entry, start: int, cursor: str) -> AsyncIterator[bytes]:
        state = entry.state
        if start == entry.writer.end and not state.closed:
            yield payload.control_event(offset_token(start), cursor, up_to_date=True, closed=False)
        async with self._backend.stream(entry.writer.task, start) as pieces:
            if pieces is None:
                yield payload.control_event(
                    offset_token(start), cursor, up_to_date=True, closed=True
                )
                return
            log = b""
            async for piece in pieces:
                read = payload.read_log(log + piece, start, as_json=state.is_json)
                log, start = read.rest, read.end
                events = b""
                if read.messages:
                    events = payload.data_event(
                        read.messages, as_json=state.is_json, as_text=state.is_text
                    )
                if read.messages or read.closed:
                    yield events + payload.control_event(
                        offset_token(start),
                        cursor,
                        up_to_date=start >= entry.writer.end,
                        closed=read.closed,
                    )


def offset_token(offset: int) -> str:
    """Return an offset as the protocol wants it: tokens sort like the places they stand for."""
    return f"{offset:020d}"


def _offset(token: str | None, tail: int) -> int:
    if token is None or token == "-1":
        return 0
    if token == "now":
        return tail
    if _OFFSET.fullmatch(token) is None:
        raise RefusedError(400, "no offset of this stream")
    return int(token)


def _cursor(given: str | None) -> str:
    """Return the number of this interval of time, and always a greater one than was given."""
    now = int((time.time() - _CURSOR_EPOCH_S) / _CURSOR_INTERVAL_S)
    if given is not None and given.isascii() and given.isdecimal() and int(given) >= now:
        return str(int(given) + random.randint(1, 180))
    return str(now)


def _parsed(data: bytes, start: int, *, as_json: bool) -> payload.Read:
    try:
        return payload.read_log(data, start, as_json=as_json)
    except ValueError as exc:
        raise RefusedError(400, "the offset lies inside an event") from exc
