"""JPEG pictures of `multipart/x-mixed-replace` (MJPEG over HTTP; RFC 2046, 5.1).

Parts with a `Content-Length` are cut by it, others at the next boundary. The pictures have no time
of their own: that of their arrival is used.
"""

import re
from collections.abc import Iterator
from typing import Final

from streamproc.source.errors import SourceNotVideoError, SourceProtocolError
from streamproc.source.live.containers.demuxer import MAX_PICTURE_BYTES
from streamproc.source.live.rtp.depacketizer import AccessUnit
from streamproc.source.live.rtp.picture_size import MAX_PIXELS_A_SIDE, Size

CLOCK_HZ: Final = 90_000
MAX_HEAD_BYTES: Final = 8 * 1024
MAX_OTHER_PARTS: Final = 100
"""Parts that are no pictures, one after the other."""
_BOUNDARY: Final = re.compile(r'boundary\s*=\s*(?:"([^"]{1,200})"|([^\s;]{1,200}))', re.IGNORECASE)
_FIRST_PART: Final = re.compile(
    rb"\s{0,8}(--[!-~]{1,200})\r?\n(?:[!-~]+:[^\r\n]*\r?\n)*?content-type\s*:\s*image/jpe?g\b",
    re.IGNORECASE,
)
_LENGTH: Final = re.compile(
    rb"^content-length\s*:\s*([0-9]{1,9})\s*$", re.IGNORECASE | re.MULTILINE
)
_START: Final = b"\xff\xd8"
_END: Final = b"\xff\xd9"
_SIZE_MARKS: Final = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}


def boundary_of(content_type: str) -> bytes | None:
    """Return the delimiter of the parts, with its dashes; None if this is another media type."""
    kind, _, parameters = content_type.partition(";")
    if kind.strip().lower() != "multipart/x-mixed-replace":
        return None
    found = _BOUNDARY.search(parameters)
    if found is None:
        return None
    name = found[1] or found[2]
    # Some servers announce the boundary with the dashes that belong in front of it.
    return f"--{name.removeprefix('--')}".encode("latin-1", "replace")


def boundary_in(first: bytes) -> bytes | None:
    """Return the delimiter, with its dashes, if a body begins as parts that are JPEG pictures.

    ffmpeg's own server (`-f mpjpeg -listen 1`) says `application/octet-stream`.
    """
    found = _FIRST_PART.match(first)
    return None if found is None else found[1]


class MultipartJpeg:
    """A `Demuxer`."""

    clock_hz = CLOCK_HZ
    codec = "mjpeg"
    n_lost = 0

    def __init__(self, host: str, boundary: bytes) -> None:
        self._host, self._boundary = host, boundary
        self._data = bytearray()
        self._searched = 0
        self._n_other = 0
        self.size: Size | None = None

    def push(self, data: bytes, now_s: float) -> Iterator[AccessUnit]:
        self._data += data
        while (part := self._part()) is not None:
            if not part.startswith(_START):
                self._n_other += 1
                if self._n_other > MAX_OTHER_PARTS:
                    raise SourceNotVideoError(f"{self._host} sends parts that are no JPEG")
                continue
            self._n_other = 0
            self.size = jpeg_size(part) or self.size
            yield AccessUnit(
                part,
                round(now_s * CLOCK_HZ),
                is_key=True,
                is_damaged=not part.endswith(_END),
                follows_loss=False,
                arrival_s=now_s,
            )

    def end(self, _now_s: float) -> Iterator[AccessUnit]:
        """Yield nothing: a part without its end may be cut."""
        yield from ()

    def _part(self) -> bytes | None:
        """Take the next part's body from the data; None before it is complete."""
        start = self._data.find(self._boundary)
        if start < 0:
            self._bound(self._data, MAX_HEAD_BYTES)
            return None
        head_end, length = self._head_end(start)
        if head_end is None:
            self._bound(self._data[start:], MAX_HEAD_BYTES)
            return None
        announced = _LENGTH.search(self._data[start:head_end].replace(b"\r", b""))
        if announced is not None:
            n_bytes = int(announced[1])
            if n_bytes > MAX_PICTURE_BYTES:
                raise SourceProtocolError(f"{self._host} sent a picture of over 8 MiB")
            begin, end = head_end + length, head_end + length + n_bytes
            if len(self._data) < end:
                return None
        else:
            begin = head_end + length
            end = self._data.find(self._boundary, max(begin, self._searched))
            if end < 0:
                self._searched = max(begin, len(self._data) - len(self._boundary))
                self._bound(self._data, MAX_PICTURE_BYTES + MAX_HEAD_BYTES)
                return None
        part = bytes(self._data[begin:end])
        del self._data[:end]
        self._searched = 0
        return part if announced is not None else part.rstrip(b"\r\n")

    def _head_end(self, start: int) -> tuple[int | None, int]:
        """Return (position, length) of the empty line after the part's header."""
        ends = [
            (at, len(line))
            for line in (b"\r\n\r\n", b"\n\n")
            if 0 <= (at := self._data.find(line, start)) <= start + MAX_HEAD_BYTES
        ]
        return min(ends, default=(None, 0), key=lambda one: one[0])

    def _bound(self, data: bytearray, most: int) -> None:
        if len(data) > most:
            raise SourceProtocolError(f"{self._host} sends no parts as it announced")


def jpeg_size(data: bytes) -> Size | None:
    """Return width and height of a JPEG by its frame header; None if it has none."""
    at = 2
    while at + 9 <= len(data) and data[at] == 0xFF:
        mark = data[at + 1]
        if mark == 0xFF:
            at += 1
            continue
        if mark in _SIZE_MARKS:
            height, width = (int.from_bytes(data[at + n : at + n + 2], "big") for n in (5, 7))
            fits = 0 < width <= MAX_PIXELS_A_SIDE and 0 < height <= MAX_PIXELS_A_SIDE
            return (width, height) if fits else None
        at += 2 + int.from_bytes(data[at + 2 : at + 4], "big")
    return None
