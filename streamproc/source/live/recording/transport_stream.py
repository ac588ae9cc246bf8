"""Pieces of H.264 and H.265 as MPEG transport streams (ISO/IEC 13818-1), which any player takes.

A piece has its own tables, and its counters start anew, which it announces: so pieces can be joined
by `cat`. The packet that begins a picture has `Mark` in its private data (ETSI TS 101 154, annex
D), which players skip: so a picture says which frame of the task it is.

Only pieces that `muxed` made are read; whatever else is a `DamagedPieceError`.
"""

import struct
from collections.abc import Iterator, Sequence
from functools import cache
from typing import Final

from streamproc.source.live.containers.ts_fields import crc32_mpeg, read_timestamp
from streamproc.source.live.recording.picture import (
    MAX_PICTURES,
    NO_INDEX,
    DamagedPieceError,
    RecordedPicture,
    check_size,
    checked_index,
)

_PACKET: Final = 188
_SYNC: Final = 0x47
_TABLES_PID: Final = 0x0000
_MAP_PID: Final = 0x1000
_PID: Final = 0x0100
_STREAM_TYPES: Final = {"h264": 0x1B, "hevc": 0x24}
DELIMITERS: Final = {"h264": b"\0\0\0\x01\x09\xf0", "hevc": b"\0\0\0\x01\x46\x01\x50"}
"""Access unit delimiters for any kind of picture: the container demands one of each picture."""
_DELIMITER_STARTS: Final = {"h264": (9, 0x1F, 0), "hevc": (35, 0x3F, 1)}
"""The unit's type, and the mask and the shift that take it from the first byte."""
_CLOCK: Final = 1 << 33
_LEAD: Final = 45_000
"""Ticks by which the program's clock is behind: as long a player may buffer."""
_MAX_REORDERED: Final = 16

_MARK: Final = struct.Struct(">BB4sBBqqI")
"""Tag and length of private data, format, version, flags, index, capture in ms, size in bytes."""
_MARK_TAG: Final = 0xDF
_MARK_FORMAT: Final = b"FWRC"
_MARK_VERSION: Final = 1

_HAS_CLOCK, _HAS_PRIVATE, _IS_KEY, _IS_RESTART = 0x10, 0x02, 0x40, 0x80
_FIELD_BYTES: Final = 2 + 6 + 1 + _MARK.size
"""Of the adaptation field in a picture's first packet: length, flags, clock, private data."""


def muxed(codec: str, pictures: Sequence[RecordedPicture]) -> bytes:
    """Return the pictures of a piece as a transport stream; `codec` is `h264` or `hevc`."""
    parts: list[bytes] = []
    counters = {_TABLES_PID: 0, _MAP_PID: 0, _PID: 0}
    times = _decoding_times(pictures)
    for number, (picture, decoded) in enumerate(zip(pictures, times, strict=True)):
        if picture.is_key:
            for pid, table in _tables(codec):
                parts.append(_table_packet(pid, table, counters[pid]))
                counters[pid] = (counters[pid] + 1) % 16
        begun = counters[_PID]
        packets = [*_packets(codec, picture, decoded, begun, is_first=number == 0)]
        counters[_PID] = (begun + len(packets)) % 16
        parts += packets
    return b"".join(parts)


def demuxed(data: bytes) -> tuple[str, list[RecordedPicture]]:
    """Return codec and pictures of a piece. Raises `DamagedPieceError`."""
    check_size(data)
    if len(data) % _PACKET:
        raise DamagedPieceError("a piece is cut within a packet")
    try:
        return _Reader(data).read()
    except (IndexError, struct.error) as exc:
        raise DamagedPieceError("a packet is shorter than it says") from exc


class _Reader:
    """Takes a piece apart, packet by packet."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._codec: str | None = None
        self._counter = 0
        self._found: list[RecordedPicture] = []
        self._begun: _Begun | None = None

    def read(self) -> tuple[str, list[RecordedPicture]]:
        known = {
            _table_body(table): codec for codec in _STREAM_TYPES for _, table in _tables(codec)
        }
        for at in range(0, len(self._data), _PACKET):
            packet = self._data[at : at + _PACKET]
            pid = int.from_bytes(packet[1:3], "big") & 0x1FFF
            if packet[0] != _SYNC or packet[1] & 0x80 or packet[3] & 0xC0:
                raise DamagedPieceError("a piece is no transport stream")
            if pid == _MAP_PID:
                self._take_codec(known.get(packet[4:]))
            elif pid == _PID:
                self._take(packet)
            elif pid != _TABLES_PID:
                raise DamagedPieceError("a piece has a stream that is not ours")
        self._end()
        if self._codec is None or not self._found:
            raise DamagedPieceError("a piece has no codec, or no pictures")
        return self._codec, self._found

    def _take_codec(self, codec: str | None) -> None:
        if codec is None or self._codec not in {None, codec}:
            raise DamagedPieceError("a piece has an unknown codec")
        self._codec = codec

    def _take(self, packet: bytes) -> None:
        if self._codec is None:
            raise DamagedPieceError("a piece has no codec before its first picture")
        if packet[3] & 15 != self._counter:
            raise DamagedPieceError("packets of a piece are missing")
        self._counter = (self._counter + 1) % 16
        if not packet[3] & 0x10:
            raise DamagedPieceError("a packet has no content")
        start = 5 + packet[4] if packet[3] & 0x20 else 4
        if start >= _PACKET:
            raise DamagedPieceError("a packet has no content")
        if packet[1] & 0x40:
            self._end()
            self._begun = _Begun(packet, start)
        elif self._begun is None:
            raise DamagedPieceError("a piece does not begin with a picture")
        else:
            self._begun.parts.append(packet[start:])

    def _end(self) -> None:
        if self._begun is not None:
            if len(self._found) == MAX_PICTURES:
                raise DamagedPieceError("a piece has too many pictures")
            self._found.append(self._begun.picture())
        self._begun = None


class _Begun:
    """A picture whose first packet was read."""

    def __init__(self, packet: bytes, start: int) -> None:
        if not packet[3] & 0x20 or packet[5] & 0x12 != _HAS_CLOCK | _HAS_PRIVATE:
            raise DamagedPieceError("a picture has no mark")
        at = _FIELD_BYTES + 4 - _MARK.size
        if packet[at - 1] != _MARK.size or packet[4] < _FIELD_BYTES - 1:
            raise DamagedPieceError("a picture has no mark")
        tag, length, name, version, _, index, self._captured_ms, self._n_bytes = _MARK.unpack_from(
            packet, at
        )
        if (tag, length, name) != (_MARK_TAG, _MARK.size - 2, _MARK_FORMAT):
            raise DamagedPieceError("a picture has no mark")
        if version != _MARK_VERSION:
            raise DamagedPieceError("a piece was written by a later version")
        self._index = checked_index(index)
        self._is_key = bool(packet[5] & _IS_KEY)
        head = packet[start : start + 14]
        if head[:4] != b"\0\0\x01\xe0" or not head[7] & 0x80:
            raise DamagedPieceError("a picture has no time")
        self._shown = read_timestamp(head[9:14])
        self.parts = [packet[start + 9 + head[8] :]]

    def picture(self) -> RecordedPicture:
        data = b"".join(self.parts)
        if len(data) != self._n_bytes:
            raise DamagedPieceError("a picture has another size than it says")
        return RecordedPicture(data, self._index, self._shown, self._is_key, self._captured_ms)


def _packets(
    codec: str, picture: RecordedPicture, decoded: int, counter: int, *, is_first: bool
) -> Iterator[bytes]:
    data = picture.data
    if not _is_delimited(codec, data):
        data = DELIMITERS[codec] + data
    flags = _HAS_CLOCK | _HAS_PRIVATE | _IS_KEY * picture.is_key | _IS_RESTART * is_first
    index = NO_INDEX if picture.frame is None else picture.frame
    mark = _MARK.pack(
        *(_MARK_TAG, _MARK.size - 2, _MARK_FORMAT, _MARK_VERSION, 0),
        *(index, picture.captured_ms, len(data)),
    )
    field = bytes([flags]) + _clock(decoded - _LEAD) + bytes([_MARK.size]) + mark
    times = (
        _time(2, picture.shown)
        if decoded == picture.shown
        else (_time(3, picture.shown) + _time(1, decoded))
    )
    announced = b"\x84" + (b"\x80" if len(times) == 5 else b"\xc0") + bytes([len(times)])
    body = b"\0\0\x01\xe0\0\0" + announced + times + data
    first = _PACKET - 5 - len(field)
    yield _packet(0x40, counter, field, body[:first])
    counter, at, end = counter + 1, first, len(body)
    while end - at >= _PACKET - 4:
        yield _HEADS[counter % 16] + body[at : at + _PACKET - 4]
        at += _PACKET - 4
        counter += 1
    if at < end:
        yield _packet(0, counter, None, body[at:])


def _packet(start: int, counter: int, field: bytes | None, content: bytes) -> bytes:
    """Return a packet with an adaptation field, which fills what the content leaves."""
    space = _PACKET - 4 - len(content)
    if field is None:
        field = b"" if space == 1 else b"\0"
    stuffed = (field + b"\xff" * (space - 1 - len(field))) if space > 1 else b""
    head = bytes([_SYNC, start | _PID >> 8, _PID & 0xFF, 0x30 | counter % 16])
    return head + bytes([len(stuffed)]) + stuffed + content


_HEADS: Final = [bytes([_SYNC, _PID >> 8, _PID & 0xFF, 0x10 | n]) for n in range(16)]
"""Of packets that are full of a picture's bytes, by their counter."""


def _decoding_times(pictures: Sequence[RecordedPicture]) -> list[int]:
    """Return when each picture is decoded: in the order of the pictures, never after it is shown.

    That is the time of the picture that is shown as many places before as pictures are reordered.
    """
    shown = sorted(one.shown for one in pictures)
    depth = 0
    while depth < min(_MAX_REORDERED, len(shown)) and any(
        shown[max(0, n - depth)] > one.shown for n, one in enumerate(pictures)
    ):
        depth += 1
    step = max(1, (shown[-1] - shown[0]) // max(1, len(shown) - 1))
    return [
        min(shown[n - depth] if n >= depth else shown[0] - (depth - n) * step, one.shown)
        for n, one in enumerate(pictures)
    ]


def _is_delimited(codec: str, data: bytes) -> bool:
    kind, mask, shift = _DELIMITER_STARTS[codec]
    start = data.find(b"\0\0\x01", 0, 8)
    return start >= 0 and data[start + 3] >> shift & mask == kind


def _time(prefix: int, ticks: int) -> bytes:
    """Return a time stamp of a PES packet (33 bits with marker bits between them)."""
    ticks %= _CLOCK
    return struct.pack(
        ">BHH",
        prefix << 4 | ticks >> 29 & 0x0E | 1,
        ticks >> 14 & 0xFFFE | 1,
        ticks << 1 & 0xFFFE | 1,
    )


def _clock(ticks: int) -> bytes:
    """Return a program clock reference: a base of 33 bits, 6 reserved ones, no extension."""
    return struct.pack(">Q", (ticks % _CLOCK) << 15 | 0x3F << 9)[2:]


@cache
def _tables(codec: str) -> tuple[tuple[int, bytes], tuple[int, bytes]]:
    """Return (PID, section) of the program association and of the program map."""
    programs = struct.pack(">HBBBHH", 1, 0xC1, 0, 0, 1, 0xE000 | _MAP_PID)
    streams = struct.pack(
        ">HBBBHHBHH",
        *(1, 0xC1, 0, 0, 0xE000 | _PID, 0xF000),
        *(_STREAM_TYPES[codec], 0xE000 | _PID, 0xF000),
    )
    return (_TABLES_PID, _section(0, programs)), (_MAP_PID, _section(2, streams))


def _section(table: int, body: bytes) -> bytes:
    head = struct.pack(">BH", table, 0xB000 | len(body) + 4)
    return head + body + struct.pack(">I", crc32_mpeg(head + body))


def _table_packet(pid: int, section: bytes, counter: int) -> bytes:
    head = bytes([_SYNC, 0x40 | pid >> 8, pid & 0xFF, 0x10 | counter])
    return head + _table_body(section)


def _table_body(section: bytes) -> bytes:
    return (b"\0" + section).ljust(_PACKET - 4, b"\xff")
