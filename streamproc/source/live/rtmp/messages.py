"""RTMP messages in chunks (RTMP 1.0, chapter 5): read and written, within bounds. Sans-IO."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, NamedTuple

SET_CHUNK_SIZE, ABORT, ACKNOWLEDGEMENT, USER_CONTROL, WINDOW_SIZE, PEER_BANDWIDTH = 1, 2, 3, 4, 5, 6
AUDIO, VIDEO, DATA, COMMAND, AGGREGATE = 8, 9, 18, 20, 22
MAX_MESSAGE_BYTES: Final = 8 << 20
MAX_CHUNK_BYTES: Final = 1 << 24
MAX_STREAMS: Final = 64
_OWN_CHUNK_BYTES: Final = 128
_EXTENDED: Final = 0xFFFFFF
_CLOCK: Final = 1 << 32
_HEAD_BYTES: Final = (11, 7, 3, 0)
_CONTINUED: Final = 3


class Message(NamedTuple):
    """`time_ms` wraps at 2**32."""

    kind: int
    stream: int
    time_ms: int
    data: bytes


@dataclass(slots=True)
class _ChunkStream:
    kind: int = 0
    stream: int = 0
    length: int = 0
    time_ms: int = 0
    step_ms: int = 0
    has_extended: bool = False
    data: bytearray | None = None
    """Of the message that is not complete yet."""


class MessageReader:
    """Bytes of the server to messages."""

    def __init__(self) -> None:
        self._data = bytearray()
        self._streams: dict[int, _ChunkStream] = {}
        self.chunk_bytes = _OWN_CHUNK_BYTES

    def push(self, data: bytes) -> Iterator[Message]:
        """Yield the messages that these bytes complete. Raises `ValueError` for malformed ones.

        The size of chunks changes with the message that says so, before the next one is read.
        """
        self._data += data
        while (message := self._chunk()) is not False:
            if isinstance(message, Message):
                self._heed(message)
                yield message

    def _heed(self, message: Message) -> None:
        number = int.from_bytes(message.data[:4], "big")
        if message.kind == SET_CHUNK_SIZE:
            if not 1 <= number <= MAX_CHUNK_BYTES:
                raise ValueError("an invalid size of chunks")
            self.chunk_bytes = number
        elif message.kind == ABORT and number in self._streams:
            self._streams[number].data = None

    def _chunk(self) -> Message | bool:
        """Take one chunk; return the message that it ends, True for none, False if it is cut."""
        head = self._head()
        if head is None:
            return False
        one = self._streams.get(head.number) or _ChunkStream()
        length = one.length if head.length is None else head.length
        if length > MAX_MESSAGE_BYTES:
            raise ValueError("a message of over 8 MiB")
        begun = one.data
        n_bytes = min(self.chunk_bytes, length - len(begun or b""))
        end = head.n_bytes + n_bytes
        if len(self._data) < end:
            return False
        if head.form < _CONTINUED and begun is not None:
            raise ValueError("a message that begins within another one")
        self._note(head, one)
        if begun is None:
            one.time_ms = (one.time_ms + one.step_ms) % _CLOCK
            begun = one.data = bytearray()
        begun += self._data[head.n_bytes : end]
        del self._data[:end]
        if len(begun) < one.length:
            return True
        one.data = None
        return Message(one.kind, one.stream, one.time_ms, bytes(begun))

    def _head(self) -> "_Head | None":
        """Return the head of the next chunk; None if it is cut."""
        data = self._data
        if not data:
            return None
        form, number, at = data[0] >> 6, data[0] & 63, 1
        if number < 2:
            at = 2 + number
            number = 64 + int.from_bytes(data[1:at], "little")
        if len(data) < at:
            return None
        fields = bytes(data[at : at + _HEAD_BYTES[form]])
        at += _HEAD_BYTES[form]
        if len(data) < at:
            return None
        known = self._streams.get(number)
        if known is None and form:
            raise ValueError("a chunk without the head of its message")
        time = int.from_bytes(fields[:3], "big")
        has_extended = time == _EXTENDED
        if form == _CONTINUED and known is not None:
            has_extended = known.has_extended
        if has_extended:
            at += 4
            if len(data) < at:
                return None
            time = int.from_bytes(data[at - 4 : at], "big")
        return _Head(
            form,
            number,
            at,
            time,
            has_extended,
            int.from_bytes(fields[3:6], "big") if form < 2 else None,
            fields[6] if form < 2 else None,
            int.from_bytes(fields[7:11], "little") if form == 0 else None,
        )

    def _note(self, head: "_Head", one: _ChunkStream) -> None:
        """Make the head's fields those of its chunk stream."""
        if head.number not in self._streams:
            if len(self._streams) >= MAX_STREAMS:
                raise ValueError("too many chunk streams")
            self._streams[head.number] = one
        if head.form == _CONTINUED:
            return
        one.has_extended = head.has_extended
        one.length = one.length if head.length is None else head.length
        one.kind = one.kind if head.kind is None else head.kind
        if head.stream is None:
            one.step_ms = head.time
        else:
            one.stream, one.time_ms, one.step_ms = head.stream, head.time, 0


class _Head(NamedTuple):
    """`form`: 0 to 3, with fewer fields each. `time`: absolute in form 0, else a step.

    `length`, `kind` and `stream` are None in the forms without them; `n_bytes`: of this head.
    """

    form: int
    number: int
    n_bytes: int
    time: int
    has_extended: bool
    length: int | None
    kind: int | None
    stream: int | None


def written(kind: int, stream: int, data: bytes, *, chunk_stream: int = 3) -> bytes:
    """Return a message as chunks of the default size, at time 0."""
    head = bytes([chunk_stream]) + bytes(3) + len(data).to_bytes(3, "big") + bytes([kind])
    out = head + stream.to_bytes(4, "little") + data[:_OWN_CHUNK_BYTES]
    for at in range(_OWN_CHUNK_BYTES, len(data), _OWN_CHUNK_BYTES):
        out += bytes([0xC0 | chunk_stream]) + data[at : at + _OWN_CHUNK_BYTES]
    return out
