"""An HTTP proxy in front of an api, which treats answers as a `Plan` says and notes what it did."""

import asyncio
import contextlib
import socket
import struct
from collections.abc import AsyncIterator
from dataclasses import dataclass
from http import HTTPStatus
from typing import Self

from tests.clients.faults import Cut, Ending, Plan, Treatment
from tests.clients.messages import (
    BrokenOffError,
    Head,
    message,
    read_body,
    read_head,
    write_part,
)

_HOP = {"connection", "keep-alive", "transfer-encoding", "content-length"}


@dataclass
class Exchange:
    """A request, and what came of it: `sent` bytes of the body reached the client's connection."""

    target: str
    last_event_id: str | None
    status: int = 0
    sent: int = 0
    cut: Ending | None = None


class FaultyProxy:
    """Serves `127.0.0.1:port` from the api at `upstream_port`, for one client."""

    def __init__(self, upstream_port: int, plan: Plan) -> None:
        self.exchanges: list[Exchange] = []
        self._upstream_port = upstream_port
        self._plan = plan
        self._passed = 0
        self._tasks: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self.port: int = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *exc: object) -> None:
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        writer.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            with contextlib.suppress(OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
                while await self._exchange(reader, writer):
                    pass
        finally:
            self._tasks.discard(task)
            writer.close()

    async def _exchange(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """Answer one request; return whether the connection may carry another one."""
        head = await read_head(reader)
        body = await reader.readexactly(head.size_bytes)
        exchange = Exchange(head.line.split()[1], head.headers.get("last-event-id"))
        self.exchanges.append(exchange)
        treatment = self._plan.treatment(len(self.exchanges) - 1)
        if treatment.status:
            exchange.status = treatment.status
            await _refuse(writer, treatment.status)
            return True
        try:
            return await self._pass_on(head, body, exchange, treatment, writer)
        except BrokenOffError:
            return False

    async def _pass_on(
        self,
        head: Head,
        body: bytes,
        exchange: Exchange,
        treatment: Treatment,
        writer: asyncio.StreamWriter,
    ) -> bool:
        far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self._upstream_port)
        try:
            far_writer.write(message(head.line, {**head.headers, "connection": "close"}) + body)
            answer = await read_head(far_reader)
            exchange.status = int(answer.line.split()[1])
            kept = {name: text for name, text in answer.headers.items() if name not in _HOP}
            has_body = head.line.split()[0] != "HEAD" and exchange.status not in {204, 304}
            sized = "content-length" in answer.headers and not treatment.rechunk
            if has_body and not sized:
                kept["transfer-encoding"] = "chunked"
            elif "content-length" in answer.headers:
                kept["content-length"] = answer.headers["content-length"]
            writer.write(message(answer.line, kept))
            await writer.drain()
            if not has_body:
                return True
            return await self._pass_body(
                read_body(far_reader, answer), exchange, treatment, writer, chunked=not sized
            )
        finally:
            far_writer.close()

    async def _pass_body(
        self,
        body: AsyncIterator[bytes],
        exchange: Exchange,
        treatment: Treatment,
        writer: asyncio.StreamWriter,
        *,
        chunked: bool,
    ) -> bool:
        place = _CutPlace(treatment.cut)
        async for data in body:
            part, at_cut = place.up_to(data)
            for piece in _pieces(part, treatment):
                await self._send(piece, writer, chunked=chunked)
                exchange.sent += len(piece)
            if at_cut and treatment.cut is not None:
                exchange.cut = treatment.cut.ending
                return await _end(writer, treatment.cut.ending)
        if chunked:
            writer.write(b"0\r\n\r\n")
            await writer.drain()
        return True

    async def _send(self, data: bytes, writer: asyncio.StreamWriter, *, chunked: bool) -> None:
        """Send data, silent for a while behind each byte where the plan has a stall."""
        begun = self._passed
        self._passed += len(data)
        due = sorted(place for place in self._plan.stalls if begun < place <= self._passed)
        stalls = [(place - begun, self._plan.stalls.pop(place)) for place in due]
        at = 0
        for stop, seconds in stalls:
            write_part(writer, data[at:stop], chunked=chunked)
            await writer.drain()
            at = stop
            await asyncio.sleep(seconds)
        write_part(writer, data[at:], chunked=chunked)
        await writer.drain()
        await asyncio.sleep(0)


class _CutPlace:
    """Finds the byte behind which an answer is cut, in a body that comes in parts."""

    def __init__(self, cut: Cut | None) -> None:
        self._left = cut.after if cut is not None else -1
        self._n_lines = cut.edge if cut is not None else 0
        self._in_event = False
        self._last = b"\n\n"

    def up_to(self, data: bytes) -> tuple[bytes, bool]:
        """Return the part of `data` that is sent, and whether the cut follows it."""
        if self._left < 0:
            return data, False
        if not self._n_lines:
            part = data[: self._left]
            self._left -= len(part)
            return part, self._left == 0
        for at in range(len(data)):
            self._left -= 1
            self._last = self._last[-1:] + data[at : at + 1]
            if self._left <= 0 and self._passed_line():
                return data[: at + 1], True
        self._left = max(self._left, 0)
        return data, False

    def _passed_line(self) -> bool:
        if self._last == b"\n\n":
            self._in_event = True
            self._lines = 0
        elif self._in_event and self._last.endswith(b"\n"):
            self._lines += 1
            return self._lines == self._n_lines
        return False


def _pieces(data: bytes, treatment: Treatment) -> list[bytes]:
    if treatment.sizes is None:
        return [data] if data else []
    found, at = [], 0
    while at < len(data):
        size = next(treatment.sizes)
        found.append(data[at : at + size])
        at += size
    return found


async def _refuse(writer: asyncio.StreamWriter, status: int) -> None:
    page = f"<html><body><h1>{status} {HTTPStatus(status).phrase}</h1></body></html>\n".encode()
    headers = {"content-type": "text/html", "content-length": str(len(page)), "retry-after": "1"}
    writer.write(message(f"HTTP/1.1 {status} {HTTPStatus(status).phrase}", headers) + page)
    await writer.drain()


async def _end(writer: asyncio.StreamWriter, ending: Ending) -> bool:
    """Cut the connection; return whether it goes on all the same."""
    if ending is Ending.CLEAN:
        writer.write(b"0\r\n\r\n")
        await writer.drain()
        return True
    if ending is Ending.RST:
        linger = struct.pack("ii", 1, 0)
        writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        await asyncio.sleep(0.02)  # or the reset would overtake what was sent before it
    return False
