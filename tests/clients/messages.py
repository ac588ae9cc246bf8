"""Heads and bodies of HTTP/1.1 messages, as the proxy reads and writes them."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from typing import NamedTuple

_PIECE = 64 * 1024


class Head(NamedTuple):
    """The first line and the headers of a message, names in lower case."""

    line: str
    headers: dict[str, str]

    @property
    def size_bytes(self) -> int:
        return int(self.headers.get("content-length", 0))


class BrokenOffError(Exception):
    """The api's answer ended before its end."""


async def read_head(reader: asyncio.StreamReader) -> Head:
    data = await reader.readuntil(b"\r\n\r\n")
    line, *lines = data.decode("latin-1").strip().split("\r\n")
    pairs = (text.partition(":") for text in lines)
    return Head(line, {name.strip().lower(): value.strip() for name, _, value in pairs})


async def read_body(reader: asyncio.StreamReader, head: Head) -> AsyncIterator[bytes]:
    """Yield the body as it comes, decoded. Raises `BrokenOffError`."""
    try:
        if "chunked" in head.headers.get("transfer-encoding", ""):
            while size := int(await reader.readuntil(b"\r\n"), 16):
                yield await reader.readexactly(size)
                await reader.readexactly(2)
        else:
            left = head.size_bytes
            while left:
                data = await reader.read(min(left, _PIECE))
                if not data:
                    raise BrokenOffError
                left -= len(data)
                yield data
    except (asyncio.IncompleteReadError, OSError) as exc:
        raise BrokenOffError from exc


def write_part(writer: asyncio.StreamWriter, data: bytes, *, chunked: bool) -> None:
    if data:
        writer.write(b"%x\r\n%b\r\n" % (len(data), data) if chunked else data)


def message(line: str, headers: Mapping[str, str]) -> bytes:
    lines = [line, *(f"{name}: {value}" for name, value in headers.items()), "", ""]
    return "\r\n".join(lines).encode("latin-1")
