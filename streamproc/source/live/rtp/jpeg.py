"""A picture of JPEG from its RTP packets (RFC 2435), whose headers are made here by its rules."""

import struct
from typing import Final, NamedTuple

from streamproc.source.live.rtp.jpeg_tables import HUFFMAN_SEGMENTS, quantization_tables
from streamproc.source.live.rtp.nal_units import Picture

MAX_BYTES: Final = 8 << 20
_HEAD: Final = 8
_RESTART_HEAD: Final = 4
_TABLE_BYTES: Final = 64
_SUBSAMPLING: Final = {0: 0x21, 1: 0x22}
"""Sampling factors of luma: 4:2:2 and 4:2:0."""
_END: Final = b"\xff\xd9"


class _Head(NamedTuple):
    kind: int
    quality: int
    width: int
    height: int
    restart_interval: int
    tables: bytes


class JpegPictures:
    """Collects the packets of one picture after the other; at most `MAX_BYTES` of one."""

    def __init__(self) -> None:
        self._head: _Head | None = None
        self._tables: dict[int, bytes] = {}
        self._scan = bytearray()
        self._is_damaged = False

    @property
    def parameter_sets(self) -> tuple[bytes, ...]:
        return ()

    @property
    def size(self) -> tuple[int, int] | None:
        """Width and height of the picture that is collected now."""
        return None if self._head is None else (self._head.width, self._head.height)

    @property
    def is_empty(self) -> bool:
        return self._head is None and not self._is_damaged

    @property
    def can_end(self) -> bool:
        return not self.is_empty

    def lose(self) -> None:
        """Note that packets are missing before the next one; between pictures it does not matter.

        A loss of the next picture's first packet shows in the offset of its second.
        """
        self._is_damaged = not self.is_empty

    def add(self, payload: memoryview) -> None:
        try:
            self._add(bytes(payload))
        except (ValueError, IndexError, struct.error):
            self._is_damaged = True

    def take(self) -> Picture | None:
        """Return the picture and start the next; None if there was none."""
        if self.is_empty:
            return None
        head = self._head
        found = Picture(b"", is_key=True, is_damaged=True)
        if head is not None and not self._is_damaged:
            end = b"" if self._scan.endswith(_END) else _END
            found = Picture(_headers(head) + bytes(self._scan) + end, True, False)
        self._head = None
        self._scan = bytearray()
        self._is_damaged = False
        return found

    def _add(self, payload: bytes) -> None:
        """Append a packet's part of the scan. Raises an error if it does not continue the last."""
        kind, quality = payload[4], payload[5]
        offset = int.from_bytes(payload[1:4], "big")
        at, restart_interval = _HEAD, 0
        if 64 <= kind <= 127:
            restart_interval = payload[8] << 8 | payload[9]
            at += _RESTART_HEAD
        if offset == 0:
            tables, at = self._read_tables(payload, at, quality)
            size = (payload[6] * 8, payload[7] * 8)
            if kind & 63 not in _SUBSAMPLING or kind > 127 or 0 in size:
                raise ValueError("a type or size of picture that is not used")
            if self._head is not None:
                raise ValueError("a picture that begins within another")
            self._head = _Head(kind, quality, *size, restart_interval, tables)
        elif offset != len(self._scan) or self._head is None:
            raise ValueError("a part that does not continue the one before it")
        if len(self._scan) + len(payload) - at > MAX_BYTES:
            raise ValueError("too large a picture")
        self._scan += payload[at:]

    def _read_tables(self, payload: bytes, at: int, quality: int) -> tuple[bytes, int]:
        """Return the quantization tables of a picture, and where its scan begins.

        Tables of a quality from 128 to 254 may be left out after they were sent once.
        """
        if quality < 128:
            return quantization_tables(quality), at
        if payload[at + 1]:
            raise ValueError("quantization tables of 16 bits, which baseline JPEG does not have")
        length = payload[at + 2] << 8 | payload[at + 3]
        at += 4
        tables = payload[at : at + length]
        if length:
            if len(tables) != length or length not in {_TABLE_BYTES, 2 * _TABLE_BYTES}:
                raise ValueError("no valid quantization tables")
            if quality != 255:
                self._tables[quality] = tables
        else:
            tables = self._tables.get(quality, b"")
            if not tables:
                raise ValueError("quantization tables that were never sent")
        return tables, at + length


def _headers(head: _Head) -> bytes:
    """Return the picture's headers, from its start to its scan."""
    n_tables = len(head.tables) // _TABLE_BYTES
    data = b"\xff\xd8"
    for number in range(n_tables):
        table = head.tables[number * _TABLE_BYTES :][:_TABLE_BYTES]
        data += b"\xff\xdb\x00\x43" + bytes([number]) + table
    if head.restart_interval:
        data += b"\xff\xdd\x00\x04" + struct.pack(">H", head.restart_interval)
    chroma = n_tables - 1
    luma_sampling = _SUBSAMPLING[head.kind & 63]
    data += b"\xff\xc0\x00\x11\x08" + struct.pack(">HH", head.height, head.width)
    data += bytes([3, 0, luma_sampling, 0, 1, 0x11, chroma, 2, 0x11, chroma])
    return data + HUFFMAN_SEGMENTS + b"\xff\xda\x00\x0c\x03\x00\x00\x01\x11\x02\x11\x00\x3f\x00"
