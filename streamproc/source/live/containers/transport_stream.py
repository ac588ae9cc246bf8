"""MPEG transport stream: the first video stream of H.264 or H.265 (ISO/IEC 13818-1).

A picture ends where the next one begins, or after the number of bytes that its PES packet
announces. Missing packets show in the continuity counter. Times are ticks of 90 kHz, 33 bits wide.
"""

from collections.abc import Iterator
from typing import Final

from streamproc.source.errors import (
    SourceEncryptedError,
    SourceNotVideoError,
    SourceProtocolError,
)
from streamproc.source.live.containers.coded_pictures import CodedPictures, annexb_units
from streamproc.source.live.containers.demuxer import MAX_PICTURE_BYTES
from streamproc.source.live.containers.ts_fields import crc32_mpeg, read_timestamp
from streamproc.source.live.rtp.depacketizer import AccessUnit
from streamproc.source.live.rtp.packet import Unwrapper
from streamproc.source.live.rtp.picture_size import Size

CLOCK_HZ: Final = 90_000
MAX_WAIT_BYTES: Final = 16 << 20
"""Bytes without a program that has video, after which there is none."""
MAX_UNALIGNED_BYTES: Final = 64 * 1024
_PACKET: Final = 188
_SYNC: Final = 0x47
_CLOCK: Final = 1 << 33
_MIN_SECTION_BYTES: Final = 12
_MAX_SECTION_BYTES: Final = 1024
_PES_HEAD: Final = 9
_CODECS: Final = {0x1B: "h264", 0x24: "hevc"}


class TransportStream:
    """A `Demuxer`."""

    clock_hz = CLOCK_HZ

    def __init__(self, host: str) -> None:
        """`host` is named in errors."""
        self._host = host
        self._data = bytearray()
        self._n_unaligned = 0
        self._n_waited = 0
        self._sections: dict[int, _Section] = {0: _Section()}
        self._map_pid: int | None = None
        self._pid: int | None = None
        self._counter: int | None = None
        self._pictures: CodedPictures | None = None
        self._unwrapped = Unwrapper(_CLOCK)
        self._pes: bytearray | None = None
        self._is_damaged = self._follows_loss = False
        self.n_lost = 0

    @property
    def codec(self) -> str | None:
        return None if self._pictures is None else self._pictures.codec

    @property
    def size(self) -> Size | None:
        return None if self._pictures is None else self._pictures.size

    def push(self, data: bytes, now_s: float) -> Iterator[AccessUnit]:
        self._data += data
        at = 0
        while at + _PACKET <= len(self._data):
            if self._data[at] != _SYNC:
                at += self._skip_to_sync(at)
                continue
            yield from self._packet(bytes(self._data[at : at + _PACKET]), now_s)
            at += _PACKET
        del self._data[:at]

    def end(self, now_s: float) -> Iterator[AccessUnit]:
        yield from self._end_picture(now_s)

    def restart(self) -> None:
        """Continue with bytes of another place: a discontinuity, or a part that was left out."""
        self._data.clear()
        self._counter = None
        self._pes = None
        self._unwrapped = Unwrapper(_CLOCK)
        self._lose(0)

    def restart_counter(self) -> None:
        """Continue with a whole file: some servers count the packets of each from 0."""
        self._counter = None

    def _skip_to_sync(self, at: int) -> int:
        found = self._data.find(_SYNC, at + 1)
        n_bytes = (len(self._data) if found < 0 else found) - at
        self._n_unaligned += n_bytes
        if self._n_unaligned > MAX_UNALIGNED_BYTES:
            raise SourceProtocolError(f"{self._host} sends no MPEG transport stream")
        self._lose(0)
        return n_bytes

    def _packet(self, packet: bytes, now_s: float) -> Iterator[AccessUnit]:
        if self._pictures is None:
            self._n_waited += _PACKET
            if self._n_waited > MAX_WAIT_BYTES:
                raise SourceNotVideoError(f"{self._host} sends no video")
        pid = int.from_bytes(packet[1:3], "big") & 0x1FFF
        is_start, has_error = bool(packet[1] & 0x40), bool(packet[1] & 0x80)
        payload = _payload(packet)
        if pid in self._sections and payload is not None and not has_error:
            for table in self._sections[pid].add(payload, is_start=is_start):
                self._take_table(pid, table)
        if pid != self._pid or (payload is None and not has_error):
            return
        self._count(packet)
        if has_error:
            self._lose(1)
            return
        if packet[3] & 0xC0:
            raise SourceEncryptedError(f"{self._host} sends encrypted video")
        yield from self._add(payload or b"", now_s, is_start=is_start)

    def _count(self, packet: bytes) -> None:
        counter = packet[3] & 15
        is_announced = packet[3] & 0x20 and packet[4] and packet[5] & 0x80
        if self._counter is not None and not is_announced:
            n_missing = (counter - self._counter - 1) % 16
            if n_missing and counter != self._counter:
                self._lose(n_missing)
        self._counter = counter

    def _lose(self, n_packets: int) -> None:
        self.n_lost += n_packets
        self._is_damaged = self._pes is not None
        self._follows_loss = True
        if self._pictures is not None and self._pes is None:
            self._pictures.lose()

    def _add(self, payload: bytes, now_s: float, *, is_start: bool) -> Iterator[AccessUnit]:
        if is_start:
            yield from self._end_picture(now_s)
            self._pes = bytearray()
        if self._pes is None:
            return  # the rest of a packet whose start was not seen
        self._pes += payload
        if len(self._pes) > MAX_PICTURE_BYTES:
            self._pes = None
            self._lose(1)
            return
        announced = int.from_bytes(self._pes[4:6], "big")
        if announced and len(self._pes) >= 6 + announced:
            yield from self._end_picture(now_s)

    def _end_picture(self, now_s: float) -> Iterator[AccessUnit]:
        pes, self._pes = self._pes, None
        is_damaged, self._is_damaged = self._is_damaged, False
        if pes is None or self._pictures is None:
            return
        time = _presented(pes)
        if time is None:
            self._follows_loss = True
            return
        picture = self._pictures.picture(annexb_units(bytes(pes[_PES_HEAD + pes[8] :])))
        if picture is None:
            return
        follows_loss, self._follows_loss = self._follows_loss, is_damaged
        yield AccessUnit(
            picture.data,
            self._unwrapped(time),
            picture.is_key,
            picture.is_damaged or is_damaged,
            follows_loss,
            now_s,
        )

    def _take_table(self, pid: int, table: bytes) -> None:
        if pid == 0 and table[0] == 0:
            programs = (table[at : at + 4] for at in range(8, len(table) - 4, 4))
            maps = [one for one in programs if len(one) == 4 and one[:2] != b"\0\0"]
            if maps:
                self._use_map(int.from_bytes(maps[0][2:], "big") & 0x1FFF)
        elif pid == self._map_pid and table[0] == 2:
            self._use_program(table)

    def _use_map(self, pid: int) -> None:
        if pid != self._map_pid and pid:
            self._map_pid = pid
            self._sections = {0: self._sections[0], pid: _Section()}

    def _use_program(self, table: bytes) -> None:
        at = 12 + (int.from_bytes(table[10:12], "big") & 0xFFF)
        while at + 5 <= len(table) - 4:
            codec = _CODECS.get(table[at])
            pid = int.from_bytes(table[at + 1 : at + 3], "big") & 0x1FFF
            if codec is not None:
                if (pid, codec) != (self._pid, self.codec):
                    self._pid, self._counter, self._pes = pid, None, None
                    self._pictures = CodedPictures(codec)
                return
            at += 5 + (int.from_bytes(table[at + 3 : at + 5], "big") & 0xFFF)


class _Section:
    """Collects the sections of one PID; those with a wrong checksum are dropped."""

    def __init__(self) -> None:
        self._data: bytearray | None = None

    def add(self, payload: bytes, *, is_start: bool) -> Iterator[bytes]:
        """Yield each section that is complete."""
        if is_start:
            if not payload:
                return
            self._data = bytearray(payload[1 + payload[0] :])
        elif self._data is not None:
            self._data += payload
        data = self._data
        if data is None or len(data) < 3:
            return
        end = 3 + (int.from_bytes(data[1:3], "big") & 0xFFF)
        if end > _MAX_SECTION_BYTES or len(data) > _MAX_SECTION_BYTES + _PACKET:
            self._data = None
        elif len(data) >= end:
            self._data = None
            section = bytes(data[:end])
            if end >= _MIN_SECTION_BYTES and crc32_mpeg(section) == 0:
                yield section


def _payload(packet: bytes) -> bytes | None:
    """Return the payload, None if the packet has none."""
    if not packet[3] & 0x10:
        return None
    at = 4 + (1 + packet[4] if packet[3] & 0x20 else 0)
    return packet[at:] if at < _PACKET else None


def _presented(pes: bytearray) -> int | None:
    """Return the presentation time of a PES packet; None if it has none or is malformed."""
    if pes[:3] != b"\0\0\1" or len(pes) < 14 or not pes[7] & 0x80:
        return None
    return read_timestamp(pes[9:14])
