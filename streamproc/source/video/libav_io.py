"""File objects for libav over the bytes of a source.

There are three kinds: the whole source; the source with a bridge, which leaves out a byte range; or
forward only, for a source that is still arriving, so that no demuxer reads its end first. A bridge
puts the header of an empty box or element at the start of the range. So a demuxer skips the range,
and all positions stay valid.
"""

import os
from collections.abc import Callable
from typing import Final, NamedTuple, Protocol

_HEADER_BYTES: Final = 16


class RandomAccess(Protocol):
    """A binary file; `size_bytes` is None while unknown.

    `is_far`: reads are slow, so only necessary bytes are read. `is_arriving`: the bytes arrive in
    order, and a read waits for its bytes.
    """

    size_bytes: int | None
    is_far: bool
    is_arriving: bool

    def read(self, n_bytes: int) -> bytes: ...
    def seek(self, offset: int, whence: int = 0) -> int: ...
    def tell(self) -> int: ...


class Bridge(NamedTuple):
    """A byte range from `start` to `end` that is not read; `head` replaces its first bytes."""

    start: int
    end: int
    head: bytes


class Passage:
    """A seekable file object for libav, optionally with a bridge."""

    def __init__(
        self,
        file: RandomAccess,
        bridge: Bridge | None = None,
        on_read: Callable[[int, int], None] = lambda _start, _end: None,
    ) -> None:
        """`on_read` is called with the start and end position of every read of the file."""
        self._file, self._bridge, self._on_read = file, bridge, on_read
        self._position = 0

    def read(self, n_bytes: int) -> bytes:
        bridge, at = self._bridge, self._position
        if bridge is not None and bridge.start <= at < bridge.end:
            head = bridge.head[at - bridge.start :]
            data = (head or bytes(min(n_bytes, bridge.end - at)))[:n_bytes]
        else:
            if bridge is not None and at < bridge.start:
                n_bytes = min(n_bytes, bridge.start - at)
            self._file.seek(at)
            data = self._file.read(n_bytes)
            self._on_read(at, at + len(data))
        self._position = at + len(data)
        return data

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        if whence == os.SEEK_CUR:
            offset += self._position
        elif whence == os.SEEK_END:
            offset = self._file.seek(offset, whence)
        self._position = offset
        return offset

    def tell(self) -> int:
        return self._position


class ForwardPassage:
    """A file object that is not seekable: without `seek` libav reads it in order."""

    def __init__(self, file: RandomAccess, on_read: Callable[[int, int], None]) -> None:
        self._passage = Passage(file, None, on_read)

    def read(self, n_bytes: int) -> bytes:
        return self._passage.read(n_bytes)


class BoxRow:
    """Tracks the boxes of an ISO base media file while it is read, up to the last one's end."""

    def __init__(self, read_at: Callable[[int, int], bytes], start: int) -> None:
        """`start`: the position of any top-level box."""
        self._read_at = read_at
        self._next = start
        self._reached = 0
        self._is_row = True

    def passed(self, start: int, end: int) -> None:
        """Record that a byte range has been read. A range out of order is ignored."""
        self._reached = max(self._reached, end)
        while self._is_row and start - _HEADER_BYTES <= self._next <= end - _HEADER_BYTES:
            header = self._read_at(self._next, _HEADER_BYTES)
            length = int.from_bytes(header[:4], "big")
            if length == 1:
                length = int.from_bytes(header[8:], "big")
            self._is_row = length >= 8 and header[4:8].isalnum()
            self._next += length if self._is_row else 0

    def goes_beyond(self, size_bytes: int | None) -> bool:
        """Whether the last box that was read ends after the end of the file, by its own length.

        In a file of unknown size: after the last byte that was read.
        """
        return self._next > (self._reached if size_bytes is None else size_bytes)
