"""Client of RTMP that plays one stream (RTMP 1.0, chapters 5.2 and 7). Sans-IO.

    handshake ─► connect ─► createStream ─► play ─► video messages

`output` has what is to be sent. Sound and data are dropped; what the server demands (an
acknowledgement of a window, an answer to a ping) is answered.
"""

import struct
from collections.abc import Iterator
from enum import Enum, auto
from typing import Final, NamedTuple

from streamproc.source.errors import (
    SourceError,
    SourceProtocolError,
    SourceStatusError,
    SourceUnauthorizedError,
    SourceUnreachableError,
)
from streamproc.source.live.rtmp import amf, messages
from streamproc.source.live.rtmp.messages import Message, MessageReader
from streamproc.source.live.rtmp.url import RtmpUrl

_VERSION: Final = 3
_HANDSHAKE: Final = 1536
_BUFFER_MS: Final = 1000
_WINDOW: Final = 5_000_000
_PING, _PONG, _SET_BUFFER, _STREAM_EOF = 6, 7, 3, 1
_CONNECT, _CREATE = 1.0, 2.0
_TAG_HEAD: Final = 11
_ENDS: Final = frozenset({"NetStream.Play.Stop", "NetStream.Play.UnpublishNotify"})


class Video(NamedTuple):
    """The body of a video message; `time_ms` wraps at 2**32."""

    body: bytes
    time_ms: int


class _Phase(Enum):
    HANDSHAKE = auto()
    CONNECTING = auto()
    CREATING = auto()
    PLAYING = auto()


class Client:
    """One connection. `random`: 1528 random bytes for the handshake."""

    def __init__(self, url: RtmpUrl, random: bytes) -> None:
        self._url = url
        self._phase = _Phase.HANDSHAKE
        self._handshake = bytearray()
        self._reader = MessageReader()
        self._out = bytearray(bytes([_VERSION]) + bytes(8) + random[: _HANDSHAKE - 8])
        self._stream = 0
        self._n_received = self._n_acknowledged = 0
        self._window = _WINDOW

    def output(self) -> bytes:
        """Return what is to be sent now, once."""
        out, self._out = bytes(self._out), bytearray()
        return out

    def receive(self, data: bytes) -> Iterator[Video]:
        """Yield the video of these bytes. Raises a `SourceError`, also where the server says no."""
        self._n_received += len(data)
        if self._phase is _Phase.HANDSHAKE:
            self._handshake += data
            if len(self._handshake) < 1 + 2 * _HANDSHAKE:
                return
            data = self._shaken()
        try:
            for message in self._reader.push(data):
                yield from self._message(message)
        except (ValueError, IndexError) as exc:
            raise SourceProtocolError(f"{self._url.host} does not speak RTMP as it should") from exc
        if self._n_received - self._n_acknowledged >= self._window // 2:
            self._n_acknowledged = self._n_received
            self._send(messages.ACKNOWLEDGEMENT, 0, struct.pack(">I", self._n_received % (1 << 32)))

    def close(self) -> None:
        """Leave the stream."""
        if self._phase is _Phase.PLAYING:
            self._command("deleteStream", 0.0, None, float(self._stream))

    def _shaken(self) -> bytes:
        """Answer the server's part of the handshake; return the bytes after it."""
        if self._handshake[0] != _VERSION:
            raise SourceProtocolError(f"{self._url.host} speaks no RTMP of version 3")
        self._out += self._handshake[1 : 1 + _HANDSHAKE]
        rest = bytes(self._handshake[1 + 2 * _HANDSHAKE :])
        self._handshake.clear()
        self._phase = _Phase.CONNECTING
        about: dict[str, float | bool | str] = {
            "app": self._url.application,
            "tcUrl": self._url.application_url,
            "fpad": False,
            "capabilities": 15.0,
            "audioCodecs": 4071.0,
            "videoCodecs": 252.0,
            "videoFunction": 1.0,
            "flashVer": "LNX 9,0,124,2",
        }
        self._command("connect", _CONNECT, about)
        return rest

    def _message(self, message: Message) -> Iterator[Video]:
        match message.kind:
            case messages.VIDEO:
                if message.data:
                    yield Video(message.data, message.time_ms)
            case messages.AGGREGATE:
                yield from _parts(message)
            case messages.COMMAND:
                self._heed(amf.decode(message.data))
            case messages.WINDOW_SIZE | messages.PEER_BANDWIDTH:
                self._window = max(int.from_bytes(message.data[:4], "big"), 1024)
                if message.kind == messages.PEER_BANDWIDTH:
                    self._send(messages.WINDOW_SIZE, 0, message.data[:4])
            case messages.USER_CONTROL:
                self._control(message.data)
            case _:
                return

    def _control(self, data: bytes) -> None:
        kind = int.from_bytes(data[:2], "big")
        if kind == _PING:
            self._send(messages.USER_CONTROL, 0, struct.pack(">H", _PONG) + data[2:6])
        elif kind == _STREAM_EOF and self._phase is _Phase.PLAYING:
            raise SourceUnreachableError(f"{self._url.host} ended the stream")

    def _heed(self, command: list[amf.Value]) -> None:
        name = command[0] if command else None
        number = command[1] if len(command) > 1 else None
        about = command[3] if len(command) > 3 else None
        if name == "_error" or (name == "onStatus" and _level(about) == "error"):
            raise self._refusal(about)
        if name == "onStatus" and isinstance(about, dict) and about.get("code") in _ENDS:
            raise SourceUnreachableError(f"{self._url.host} ended the stream")
        if name != "_result":
            return
        if self._phase is _Phase.CONNECTING and number == _CONNECT:
            self._phase = _Phase.CREATING
            self._send(messages.WINDOW_SIZE, 0, struct.pack(">I", _WINDOW))
            self._command("createStream", _CREATE, None)
        elif self._phase is _Phase.CREATING and number == _CREATE:
            if not isinstance(about, float) or not 0 <= about < 1 << 31:
                raise ValueError("a stream without a number")
            self._stream, self._phase = int(about), _Phase.PLAYING
            buffer = struct.pack(">HII", _SET_BUFFER, self._stream, _BUFFER_MS)
            self._send(messages.USER_CONTROL, 0, buffer)
            # -2: a live stream, else one that is recorded
            self._command("play", 0.0, None, self._url.stream, -2000.0, stream=self._stream)

    def _refusal(self, about: amf.Value) -> SourceError:
        code = about.get("code") if isinstance(about, dict) else None
        host = self._url.host
        if code == "NetConnection.Connect.Rejected":
            return SourceUnauthorizedError(f"{host} refuses the connection")
        if isinstance(code, str) and code.endswith(("StreamNotFound", "Failed")):
            return SourceStatusError(f"{host} has no such stream")
        return SourceStatusError(f"{host} answered with an error")

    def _command(
        self,
        name: str,
        number: float,
        *values: amf.Sent,
        stream: int = 0,
    ) -> None:
        self._send(messages.COMMAND, stream, amf.encode([name, number, *values]))

    def _send(self, kind: int, stream: int, data: bytes) -> None:
        chunk_stream = 3 if kind == messages.COMMAND else 2
        self._out += messages.written(kind, stream, data, chunk_stream=chunk_stream)


def _level(about: amf.Value) -> object:
    return about.get("level") if isinstance(about, dict) else None


def _parts(message: Message) -> Iterator[Video]:
    """Yield the video of an aggregate message: tags of FLV, with times of their own."""
    data, at, first = message.data, 0, None
    while at + _TAG_HEAD <= len(data):
        kind, length = data[at], int.from_bytes(data[at + 1 : at + 4], "big")
        time_ms = int.from_bytes(data[at + 4 : at + 7], "big") | data[at + 7] << 24
        first = time_ms if first is None else first
        at += _TAG_HEAD
        if at + length > len(data):
            raise ValueError("a part that goes beyond its message")
        if kind == messages.VIDEO and length:
            yield Video(data[at : at + length], (message.time_ms + time_ms - first) % (1 << 32))
        at += length + 4
