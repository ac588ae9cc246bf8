"""Parser of one RTSP connection: responses, requests of the server, interleaved packets.

Cameras that cannot send as fast as they record drop bytes in the middle of an interleaved packet.
What follows is then no message. The parser looks for the next place that is one, reports how much
it left out (`Skipped`), and goes on; after `MAX_SKIPPED` bytes it gives up.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Final, NamedTuple

MAX_HEAD: Final = 16 * 1024
MAX_HEADERS: Final = 128
MAX_BODY: Final = 256 * 1024
MAX_SKIPPED: Final = 1024 * 1024
"""Bytes that may be left out between two messages, and in the last `_HEALED` messages' time."""
_HEALED: Final = 4096
_DOLLAR: Final = 0x24
_FRAME_HEAD: Final = 4
_RTP_VERSION: Final = 2
_STATUS: Final = re.compile(rb"RTSP/1\.[0-9] +([0-9]{3})(?: [^\r\n]*)?")
_REQUEST: Final = re.compile(rb"([A-Z_]{3,16}) +([^ \r\n]{1,4096}) +RTSP/1\.[0-9]")
_METHOD_START: Final = re.compile(rb"[A-Z_]{1,16}(?: |$)")
_STATUS_START: Final = b"RTSP/1."
_CANDIDATE: Final = re.compile(rb"\$|RTSP/1\.|R(?:T(?:S(?:P(?:/1?)?)?)?)?\Z")
_END: Final = re.compile(rb"\r?\n\r?\n")
_LINE: Final = re.compile(rb"\r?\n")
_LENGTH: Final = re.compile(r"[0-9]{1,9}")

Headers = Mapping[str, tuple[str, ...]]
"""Values by lower-case name, in the order of the message."""


class MessageError(ValueError):
    """The bytes are not RTSP, or exceed a limit; the text names the limit."""


class Response(NamedTuple):
    status: int
    headers: Headers
    body: bytes

    def header(self, name: str) -> str | None:
        """Return the first value of a header, by its lower-case name."""
        return self.headers.get(name, (None,))[0]


class Request(NamedTuple):
    """A request of the server to us."""

    method: str
    headers: Headers

    def header(self, name: str) -> str | None:
        return self.headers.get(name, (None,))[0]


class Packet(NamedTuple):
    """An interleaved packet, RTP or RTCP."""

    channel: int
    data: bytes


class Skipped(NamedTuple):
    """Bytes that belonged to no message."""

    n_bytes: int


Message = Response | Request | Packet | Skipped


class Parser:
    """Bytes in, messages out; holds at most one incomplete message."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._n_skipped = 0
        self._n_since_skip = 0
        self._is_lost = False

    def receive(self, data: bytes) -> Iterator[Message]:
        """Yield the messages that are complete now. Raises `MessageError`."""
        self._buffer += data
        at = 0
        try:
            while at < len(self._buffer):
                message, end = self._next(at)
                if end == at:
                    return
                at = end
                if message is not None:
                    yield message
        finally:
            del self._buffer[:at]

    def _next(self, at: int) -> tuple[Message | None, int]:
        """Return the message at a place, and the place after it: the same if it is incomplete."""
        if self._is_lost:
            place = self._next_start(at)
            if place > at:
                return self._skip(at, place)
        first = self._buffer[at]
        if first == _DOLLAR:
            return self._packet(at)
        if first in b"\r\n":  # some servers end a body with an additional line
            return None, at + 1
        start = bytes(self._buffer[at : at + len(_STATUS_START) + 10])
        if _STATUS_START.startswith(start[: len(_STATUS_START)]) or _METHOD_START.match(start):
            found = self._text(at)
            if found is not None:
                return found
        return self._lose(at)

    def _packet(self, at: int) -> tuple[Message | None, int]:
        buffer = self._buffer
        if len(buffer) - at < _FRAME_HEAD:
            return None, at
        length = buffer[at + 2] << 8 | buffer[at + 3]
        end = at + _FRAME_HEAD + length
        if length and len(buffer) > at + _FRAME_HEAD and buffer[at + 4] >> 6 != _RTP_VERSION:
            return self._lose(at)
        if len(buffer) < end:
            return None, at
        self._note_good()
        return Packet(buffer[at + 1], bytes(buffer[at + _FRAME_HEAD : end])), end

    def _text(self, at: int) -> tuple[Message | None, int] | None:
        """Parse a response or a request; None if the bytes are neither."""
        buffer = self._buffer
        match = _END.search(buffer, at, at + MAX_HEAD)
        if match is None:
            return self._incomplete(at)
        first, *lines = _LINE.split(bytes(buffer[at : match.start()]))
        status, request = _STATUS.fullmatch(first), _REQUEST.fullmatch(first)
        if status is None and request is None:
            return None
        headers = _headers(lines)
        end = match.end() + _body_length(headers)
        if len(buffer) < end:
            return None, at
        self._note_good()
        if status is None:
            return Request(first.split(b" ", 1)[0].decode(), headers), end
        return Response(int(status[1]), headers, bytes(buffer[match.end() : end])), end

    def _incomplete(self, at: int) -> tuple[Message | None, int] | None:
        """Wait for the rest of a head, unless its first line shows that there is none."""
        line = _LINE.search(self._buffer, at, at + MAX_HEAD)
        if line is None:
            is_head = len(self._buffer) - at < MAX_HEAD
        else:
            first = bytes(self._buffer[at : line.start()])
            is_head = bool(_STATUS.fullmatch(first) or _REQUEST.fullmatch(first))
            if is_head and len(self._buffer) - at >= MAX_HEAD:
                raise MessageError(f"the head of a message is longer than {MAX_HEAD} bytes")
        return (None, at) if is_head else None

    def _lose(self, at: int) -> tuple[Message | None, int]:
        """Look for the next place that a message can start at, after a byte that is none."""
        return self._skip(at, self._next_start(at + 1))

    def _skip(self, at: int, place: int) -> tuple[Message | None, int]:
        self._n_skipped += place - at
        self._n_since_skip = 0
        if self._n_skipped > MAX_SKIPPED:
            raise MessageError(f"more than {MAX_SKIPPED} bytes belong to no message")
        return Skipped(place - at), place

    def _next_start(self, at: int) -> int:
        """Return the first plausible start from `at` on; the buffer's end if there is none.

        A packet must look like RTP or RTCP, and the next one must begin at its end where that is
        known already. A start whose head is not complete yet is taken.
        """
        for match in _CANDIDATE.finditer(self._buffer, at):
            if match[0] != b"$" or self._is_plausible(match.start()):
                self._is_lost = False
                return match.start()
        self._is_lost = True
        return len(self._buffer)

    def _is_plausible(self, at: int) -> bool:
        buffer, size = self._buffer, len(self._buffer)
        if size - at > 1 and buffer[at + 1] > 31:  # servers number channels from 0 on
            return False
        if size - at <= _FRAME_HEAD:
            return True
        length = buffer[at + 2] << 8 | buffer[at + 3]
        if length < 8 or buffer[at + 4] >> 6 != _RTP_VERSION:
            return False
        end = at + _FRAME_HEAD + length
        return end >= size or buffer[end] in b"$R"

    def _note_good(self) -> None:
        """Forget old losses once the connection has been in order for a long time."""
        self._n_since_skip += 1
        if self._n_since_skip >= _HEALED:
            self._n_skipped = 0


def _headers(lines: list[bytes]) -> Headers:
    if len(lines) > MAX_HEADERS:
        raise MessageError(f"a message has more than {MAX_HEADERS} headers")
    found: dict[str, tuple[str, ...]] = {}
    for line in lines:
        name, colon, value = line.decode("latin-1").partition(":")
        if colon:
            key = name.strip().lower()
            found[key] = (*found.get(key, ()), value.strip())
    return found


def _body_length(headers: Headers) -> int:
    text = headers.get("content-length", ("0",))[0]
    if _LENGTH.fullmatch(text) is None:
        raise MessageError("a message has no valid Content-Length")
    length = int(text)
    if length > MAX_BODY:
        raise MessageError(f"the body of a message is longer than {MAX_BODY} bytes")
    return length
