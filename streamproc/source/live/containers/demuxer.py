"""What all demuxers of live byte streams have in common.

Bytes are pushed as they arrive, in pieces of any size. Each piece gives the coded pictures that it
completes. What a demuxer cannot follow raises a `SourceError`: the connection is made anew.
"""

from collections.abc import Iterator
from typing import Final, Protocol

from streamproc.source.live.rtp.depacketizer import AccessUnit
from streamproc.source.live.rtp.picture_size import Size

MAX_PICTURE_BYTES: Final = 8 << 20


class Demuxer(Protocol):
    """One video stream. `clock_hz`: timestamps per second."""

    clock_hz: int

    @property
    def codec(self) -> str | None:
        """`h264`, `hevc` or `mjpeg`; None before the stream has said it."""

    @property
    def size(self) -> Size | None:
        """Width and height that the stream announces; None before it does."""

    @property
    def n_lost(self) -> int:
        """Packets that are known to be missing."""

    def push(self, data: bytes, now_s: float) -> Iterator[AccessUnit]:
        """Yield the pictures that these bytes complete. `now_s`: when they arrived."""

    def end(self, now_s: float, /) -> Iterator[AccessUnit]:
        """Yield the picture that ends with the last byte, if the container does not mark ends."""
