"""Detection of second fields in H.264 (PAFF): two packets that are fields make one frame.

Parses only the necessary part of ITU-T H.264: numbers in the sequence and picture parameter sets,
and the header of each packet's first slice (7.3.2.1, 7.3.2.2, 7.3.3). What cannot be parsed counts
as no field.
"""

from collections.abc import Iterator
from typing import Final, NamedTuple

from streamproc.source.video.bits import BitReader
from streamproc.source.video.h264_sequence import read_head

HEAD_BYTES: Final = 4096
_SLICES: Final = (1, 5)
_SPS: Final = 7
_PPS: Final = 8
_SLICE_HEAD_BYTES: Final = 64
_SET_BYTES: Final = 512


class _Sequence(NamedTuple):
    frame_num_bits: int
    has_fields: bool
    separate_planes: bool


class _Slice(NamedTuple):
    frame_num: int
    is_field: bool
    is_bottom: bool


class Fields:
    """Field detector for packets of one stream, in decode order; `extradata`: the container's."""

    def __init__(self, extradata: bytes) -> None:
        self._sequences: dict[int, _Sequence] = {}
        self._sequence_of: dict[int, int] = {}
        self._length_bytes = 0
        self._first: _Slice | None = None
        if extradata[:1] == b"\x01" and len(extradata) > 6:
            self._length_bytes = (extradata[4] & 3) + 1
            self._read_avcc(extradata)
        else:
            self._read_sets(extradata)

    @property
    def may_come(self) -> bool:
        """Whether a parameter set allows fields, or none has been seen yet."""
        return not self._sequences or any(s.has_fields for s in self._sequences.values())

    def is_second(self, packet: bytes) -> bool:
        """Whether a packet (its first `HEAD_BYTES`) is the second field of the frame before it."""
        try:
            found = self._slice_of(packet)
        except IndexError:
            found = None
        first = self._first
        is_second = (
            found is not None
            and first is not None
            and found.is_field
            and found.frame_num == first.frame_num
            and found.is_bottom != first.is_bottom
        )
        self._first = found if found is not None and found.is_field and not is_second else None
        return is_second

    def _slice_of(self, packet: bytes) -> _Slice | None:
        for unit in self._units(packet):
            kind = unit[0] & 0x1F
            if kind in (_SPS, _PPS):
                self._read_set(unit)
            elif kind in _SLICES:
                return self._slice(unit)
        return None

    def _slice(self, unit: bytes) -> _Slice | None:
        bits = BitReader(unit[1:_SLICE_HEAD_BYTES])
        bits.unsigned()
        bits.unsigned()
        sequence = self._sequences.get(self._sequence_of.get(bits.unsigned(), -1))
        if sequence is None:
            return None
        if sequence.separate_planes:
            bits.read(2)
        frame_num = bits.read(sequence.frame_num_bits)
        is_field = sequence.has_fields and bool(bits.read(1))
        return _Slice(frame_num, is_field, is_field and bool(bits.read(1)))

    def _units(self, data: bytes) -> Iterator[bytes]:
        if self._length_bytes and not data.startswith((b"\x00\x00\x01", b"\x00\x00\x00\x01")):
            yield from _with_lengths(data, self._length_bytes)
        else:
            yield from _with_start_codes(data)

    def _read_avcc(self, data: bytes) -> None:
        at = self._read_lengthy(data, 6, data[5] & 0x1F)
        if at < len(data):
            self._read_lengthy(data, at + 1, data[at])

    def _read_lengthy(self, data: bytes, at: int, n_sets: int) -> int:
        """Read parameter sets, each after a 16-bit length; return the position of their end."""
        for _ in range(n_sets):
            length = int.from_bytes(data[at : at + 2], "big")
            self._read_set(data[at + 2 : at + 2 + length])
            at += 2 + length
        return at

    def _read_sets(self, data: bytes) -> None:
        for unit in _with_start_codes(data):
            self._read_set(unit)

    def _read_set(self, unit: bytes) -> None:
        kind = unit[0] & 0x1F if unit else 0
        try:
            if kind == _SPS:
                self._read_sequence(unit[1:_SET_BYTES])
            elif kind == _PPS:
                bits = BitReader(unit[1:_SET_BYTES])
                number = bits.unsigned()
                self._sequence_of[number] = bits.unsigned()
        except IndexError:
            return

    def _read_sequence(self, data: bytes) -> None:
        head = read_head(BitReader(data))
        self._sequences[head.number] = _Sequence(
            head.frame_num_bits, not head.is_frames_only, head.has_separate_planes
        )


def _with_lengths(data: bytes, n_bytes: int) -> Iterator[bytes]:
    at = 0
    while at + n_bytes < len(data):
        length = int.from_bytes(data[at : at + n_bytes], "big")
        at += n_bytes
        if length:
            yield data[at : at + min(length, _SET_BYTES)]
        at += length


def _with_start_codes(data: bytes) -> Iterator[bytes]:
    at = data.find(b"\x00\x00\x01")
    while at >= 0:
        end = data.find(b"\x00\x00\x01", at + 3, at + 3 + _SET_BYTES)
        unit = data[at + 3 : end if end >= 0 else at + 3 + _SET_BYTES]
        if unit:
            yield unit
        at = data.find(b"\x00\x00\x01", at + 3)
