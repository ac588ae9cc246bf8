"""Breaking a file. Pure: the same seed of the random numbers breaks it in the same way."""

from collections.abc import Callable
from random import Random
from typing import Literal

_ORDERS: tuple[Literal["big", "little"], ...] = ("big", "little")
_HEAD_BYTES = 2048
_MOST_CUTS = 6
_NUMBERS = (0, 1, 0x7F, 0x80, 0xFF, 0x7FFF, 0x8000, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF)

Edit = Callable[[Random, bytearray], None]


def broken(random: Random, content: bytes, other: bytes) -> bytes:
    """Return the file with one to six edits; `other` is one that pieces are taken from."""
    data = bytearray(content)
    for _ in range(random.randint(1, _MOST_CUTS)):
        if not data:
            break
        if random.random() < 0.1:
            _splice(random, data, other)
        else:
            random.choice(_EDITS)(random, data)
    return bytes(data)


def _place(random: Random, data: bytearray) -> int:
    """A place to edit: in the head as often as anywhere, since that is what demuxers believe."""
    room = len(data) if random.random() < 0.5 else min(len(data), _HEAD_BYTES)
    return random.randrange(room)


def _flip(random: Random, data: bytearray) -> None:
    for _ in range(random.choice((1, 2, 8, 64))):
        data[_place(random, data)] ^= 1 << random.randrange(8)


def _number(random: Random, data: bytearray) -> None:
    width = random.choice((1, 2, 4, 8))
    order = random.choice(_ORDERS)
    value = random.choice(_NUMBERS) if random.random() < 0.7 else random.getrandbits(64)
    at = _place(random, data)
    data[at : at + width] = (value % (1 << (8 * width))).to_bytes(width, order)


def _noise(random: Random, data: bytearray) -> None:
    at = _place(random, data)
    length = random.choice((4, 16, 256))
    data[at : at + length] = random.randbytes(min(length, len(data) - at))


def _delete(random: Random, data: bytearray) -> None:
    at = _place(random, data)
    del data[at : at + random.choice((1, 4, 64, 1024))]


def _repeat(random: Random, data: bytearray) -> None:
    at = _place(random, data)
    piece = data[at : at + random.choice((1, 8, 128, 2048))]
    data[at:at] = piece * random.choice((1, 2, 16))


def _cut(random: Random, data: bytearray) -> None:
    del data[max(1, _place(random, data)) :]


def _splice(random: Random, data: bytearray, other: bytes) -> None:
    at, start = _place(random, data), random.randrange(len(other))
    data[at:at] = other[start : start + random.choice((16, 512, 4096))]


_EDITS: tuple[Edit, ...] = (_flip, _flip, _number, _number, _number, _noise, _delete, _repeat, _cut)
