"""A recorded picture, and what both containers of recordings have in common."""

from typing import Final, NamedTuple

from streamproc.contract.recordings import MAX_PIECE_BYTES

MAX_PICTURES: Final = 8192
"""Pictures of a piece that a reader takes; a writer makes pieces of at most half as many."""
MAX_INDEX: Final = 1 << 40
CLOCK_HZ: Final = 90_000
NO_INDEX: Final = -1


class DamagedPieceError(ValueError):
    """The bytes are not those of a piece; the text says what is wrong with them."""


class RecordedPicture(NamedTuple):
    """A coded picture: Annex B, or a JPEG.

    `frame`: its index in the task; None: it was not decoded, or nobody knows what became of it.
    `shown`: when it is shown, in ticks of `CLOCK_HZ` since 1970, with wraps at 33 bits where it was
    read. `captured_ms`: when it was captured, Unix ms.
    """

    data: bytes
    frame: int | None
    shown: int
    is_key: bool
    captured_ms: int


def checked_index(number: int) -> int | None:
    """Return a picture's index as it was stored; raises `DamagedPieceError`."""
    if not NO_INDEX <= number <= MAX_INDEX:
        raise DamagedPieceError("a picture has an impossible number")
    return None if number == NO_INDEX else number


def check_size(data: bytes) -> None:
    """Raise `DamagedPieceError` if these cannot be the bytes of a piece."""
    if not 0 < len(data) <= MAX_PIECE_BYTES:
        raise DamagedPieceError("a piece has too many bytes, or none")
