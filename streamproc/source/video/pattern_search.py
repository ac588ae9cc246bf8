"""Search for a byte pattern in a file from a position on, in pieces."""

from collections.abc import Iterator
from typing import Final

from streamproc.source.video.container_probe import ReadAt
from streamproc.source.video.time_marks import DisorderError

_PIECE_BYTES: Final = 128 * 1024
_MOST_BYTES: Final = 16 << 20
"""Maximum number of bytes to search."""


def places(read_at: ReadAt, pattern: bytes, position: int, end: int) -> Iterator[int]:
    """Yield the positions of `pattern`, at or after `position` and before `end`.

    Raises `DisorderError` if the caller is still searching after 16 MiB.
    """
    stop = position + _MOST_BYTES
    overlap = len(pattern) - 1
    while position < end:
        if position >= stop:
            raise DisorderError
        data = read_at(position, _PIECE_BYTES + overlap)
        at = data.find(pattern)
        while at >= 0 and position + at < end:
            yield position + at
            at = data.find(pattern, at + 1)
        if len(data) <= _PIECE_BYTES:
            return
        position += len(data) - overlap
