"""How H.264 (RFC 6184) and H.265 (RFC 7798) put NAL units into RTP payloads."""

from collections.abc import Iterator
from enum import Enum, auto
from typing import Final, NamedTuple, Protocol

_RECOVERY_POINT: Final = 6


class Part(Enum):
    WHOLE = auto()
    START = auto()
    MIDDLE = auto()
    END = auto()


class Piece(NamedTuple):
    """A NAL unit or a part of one; a start has the unit's header."""

    part: Part
    data: bytes


class NalCodec(Protocol):
    """What differs between the two codecs. `nal` is a NAL unit of at least three bytes.

    `needed_sets`: the types of the parameter sets without which nothing can be decoded.
    """

    needed_sets: frozenset[int]

    def unpack(self, payload: memoryview) -> Iterator[Piece]:
        """Yield the pieces of a payload. Raises `ValueError` if it is malformed."""
        ...

    def is_picture(self, nal: bytes) -> bool: ...

    def is_key(self, nal: bytes) -> bool: ...

    def is_first_slice(self, nal: bytes) -> bool: ...

    def set_kind(self, nal: bytes) -> int | None:
        """Return the type of a parameter set, None for other units."""
        ...


class H264:
    needed_sets = frozenset({7, 8})

    def unpack(self, payload: memoryview) -> Iterator[Piece]:
        kind = payload[0] & 31
        if 1 <= kind <= 23:
            yield Piece(Part.WHOLE, bytes(payload))
        elif kind == 24:
            yield from _aggregated(payload, 1)
        elif kind == 28 and len(payload) > 2:
            head = bytes([payload[0] & 0xE0 | payload[1] & 31])
            yield _fragment(payload[1], head, payload[2:])
        else:
            raise ValueError("a packet type that is not used with this packetization mode")

    def is_picture(self, nal: bytes) -> bool:
        return 1 <= nal[0] & 31 <= 5

    def is_key(self, nal: bytes) -> bool:
        """Return whether decoding can begin here: an IDR picture, or an exact recovery point."""
        kind = nal[0] & 31
        return kind == 5 or (kind == 6 and _is_recovery_point(nal))

    def is_first_slice(self, nal: bytes) -> bool:
        return self.is_picture(nal) and len(nal) > 1 and nal[1] & 0x80 != 0

    def set_kind(self, nal: bytes) -> int | None:
        kind = nal[0] & 31
        return kind if kind in self.needed_sets else None


class H265:
    needed_sets = frozenset({32, 33, 34})

    def unpack(self, payload: memoryview) -> Iterator[Piece]:
        if len(payload) < 3:
            raise ValueError("a payload without content")
        kind = payload[0] >> 1 & 63
        if kind < 48:
            yield Piece(Part.WHOLE, bytes(payload))
        elif kind == 48:
            yield from _aggregated(payload, 2)
        elif kind == 49 and len(payload) > 3:
            head = bytes([payload[0] & 0x81 | (payload[2] & 63) << 1, payload[1]])
            yield _fragment(payload[2], head, payload[3:])
        else:
            raise ValueError("a packet type that is not used here")

    def is_picture(self, nal: bytes) -> bool:
        return nal[0] >> 1 & 63 < 32

    def is_key(self, nal: bytes) -> bool:
        return 16 <= nal[0] >> 1 & 63 <= 23

    def is_first_slice(self, nal: bytes) -> bool:
        return self.is_picture(nal) and len(nal) > 2 and nal[2] & 0x80 != 0

    def set_kind(self, nal: bytes) -> int | None:
        kind = nal[0] >> 1 & 63
        return kind if kind in self.needed_sets else None


def _aggregated(payload: memoryview, at: int) -> Iterator[Piece]:
    while at + 2 < len(payload):
        length = payload[at] << 8 | payload[at + 1]
        at += 2
        if not length or at + length > len(payload):
            raise ValueError("an aggregated unit that goes beyond its packet")
        yield Piece(Part.WHOLE, bytes(payload[at : at + length]))
        at += length


def _fragment(flags: int, head: bytes, data: memoryview) -> Piece:
    is_start, is_end = bool(flags & 0x80), bool(flags & 0x40)
    if is_start:
        return Piece(Part.WHOLE if is_end else Part.START, head + bytes(data))
    return Piece(Part.END if is_end else Part.MIDDLE, bytes(data))


def _is_recovery_point(nal: bytes) -> bool:
    """Return whether a unit of H.264 SEI starts with a recovery point of no further frames."""
    return len(nal) > 3 and nal[1] == _RECOVERY_POINT and nal[3] & 0x80 != 0
