"""Requests and replies over ASGI: no framework stands between the suite and the mount."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl

from tests.conformance.streams import RefusedError


@dataclass
class Request:
    """A request whose body was read; names of headers are lower case."""

    method: str
    url: str
    path: bytes
    query: list[tuple[str, str]]
    headers: Mapping[str, str]
    body: bytes

    def given(self, name: str) -> str | None:
        values = [value for key, value in self.query if key == name]
        if len(values) > 1:
            raise RefusedError(400, f"{name} is given twice")
        return values[0] if values else None


@dataclass
class Reply:
    """What is answered: `body` whole, or `events` as they come."""

    status: int
    headers: dict[str, str]
    body: bytes = b""
    events: AsyncIterator[bytes] | None = None


async def read_request(scope: Any, receive: Any) -> Request:
    body = bytearray()
    while True:
        message = await receive()
        body += message.get("body", b"")
        if not message.get("more_body"):
            break
    headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
    path = scope["raw_path"].partition(b"?")[0]
    query = parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True)
    url = f"http://{headers.get('host', '')}{path.decode('latin-1')}"
    return Request(scope["method"], url, path, query, headers, bytes(body))


async def send_events(events: AsyncIterator[bytes], receive: Any, send: Any) -> None:
    """Send events until they end or the client has gone."""

    async def pump() -> None:
        await send({"type": "http.response.body", "body": b"", "more_body": True})
        async for event in events:
            await send({"type": "http.response.body", "body": event, "more_body": True})
        await send({"type": "http.response.body", "body": b""})

    async def gone() -> None:
        while (await receive())["type"] != "http.disconnect":
            pass

    tasks = [asyncio.create_task(pump()), asyncio.create_task(gone())]
    done, waiting = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    for task in waiting:
        task.cancel()
    await asyncio.gather(*waiting, return_exceptions=True)
    for task in done:
        task.result()
