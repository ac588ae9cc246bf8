"""MPEG transport stream parser for seeking: decode times in PES headers, from any position.

ISO/IEC 13818-1, 2.4.3.2 (transport packets) and 2.4.3.6 (PES packets). Packets of 192 bytes begin
with a time of 4 bytes; packets of 204 bytes end with an error correction of 16 bytes.
"""

from collections.abc import Iterator
from typing import Final

from streamproc.source.video.container_probe import ReadAt
from streamproc.source.video.time_marks import DisorderError, Mark

_MARK: Final = 0x47
_STEPS: Final = (188, 192, 204)
_SURE_PACKETS: Final = 6
_PIECE_BYTES: Final = 64 * 1024
_MOST_BYTES: Final = 8 << 20
_PACKET_BYTES: Final = 188
_TICKS: Final = 1 << 33
"""The clock has 33 bits."""


class TransportClock:
    """Marks of the packets of one `pid`; times are unwrapped to the value nearest to `origin`."""

    def __init__(self, read_at: ReadAt, pid: int, origin: int) -> None:
        self._read_at, self._pid, self._origin = read_at, pid, origin

    def next_mark(self, position: int, end: int) -> Mark | None:
        """Return the mark of the first picture from `position` on; None when there is none.

        Raises `DisorderError` when none is found within 8 MiB.
        """
        stop = position + _MOST_BYTES
        while position < end:
            if position >= stop:
                raise DisorderError
            data = self._read_at(position, _PIECE_BYTES)
            packets, used = _aligned(data)
            for at in packets:
                time = self._time_of(data[at : at + _PACKET_BYTES])
                if time is not None and position + at < end:
                    return Mark(time, position + at)
            if len(data) < _PIECE_BYTES:
                return None
            position += used
        return None

    def _time_of(self, packet: bytes) -> int | None:
        """Return the decode time of the packet's picture, None when no picture begins in it."""
        pid = int.from_bytes(packet[1:3], "big")
        if pid & 0x1FFF != self._pid or not pid & 0x4000 or not packet[3] & 0x10:
            return None
        head = packet[5 + packet[4] :] if packet[3] & 0x20 else packet[4:]
        if head[:3] != b"\0\0\1" or len(head) < 19 or not head[7] & 0x80:
            return None
        raw = _ticks(head[14:19] if head[7] & 0x40 else head[9:14])
        half = _TICKS // 2
        return self._origin + (raw - self._origin + half) % _TICKS - half


def _aligned(data: bytes) -> tuple[Iterator[int], int]:
    """Return (start positions of whole packets, number of bytes that were searched)."""
    for step in _STEPS:
        for first in range(min(step, len(data))):
            marks = data[first : first + step * _SURE_PACKETS : step]
            if len(marks) == _SURE_PACKETS and set(marks) == {_MARK}:
                return _whole(data, first, step)
    return iter(()), max(1, len(data) - _STEPS[-1] * _SURE_PACKETS)


def _whole(data: bytes, first: int, step: int) -> tuple[Iterator[int], int]:
    """Return packets up to the first misaligned one; after it the caller has to align again."""
    at, found = first, []
    while at + _PACKET_BYTES <= len(data) and data[at] == _MARK:
        found.append(at)
        at += step
    return iter(found), at if at + _PACKET_BYTES > len(data) else at + 1


def _ticks(field: bytes) -> int:
    a, b, c = field[0], int.from_bytes(field[1:3], "big"), int.from_bytes(field[3:5], "big")
    return (a >> 1 & 7) << 30 | b >> 1 << 15 | c >> 1
