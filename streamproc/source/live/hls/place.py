"""Where the reading of a playlist is: over the sessions of a worker, and over workers."""

import hashlib
from typing import Final, NamedTuple
from urllib.parse import urlsplit

import msgspec

from streamproc.source.live.hls.playlist import Segment

_DIGEST_BYTES: Final = 8
_CLOCK: Final = 1 << 33
"""Times of MPEG transport streams wrap there."""


class SegmentName(NamedTuple):
    """What a segment is known by. `digest`: of its path and its range.

    Hosts and queries change from one load to the next; a path may have a secret, and is not stored.
    """

    sequence: int
    digest: bytes


class LastFrame(msgspec.Struct, frozen=True):
    """The last frame of a log that is read from a playlist: its segment, and its timestamp.

    `timestamp`: in 1/90,000 s, as the segment has it, maybe without wraps.
    """

    sequence: int
    digest: bytes
    timestamp: int

    @property
    def segment(self) -> SegmentName:
        return SegmentName(self.sequence, self.digest)

    def is_not_before(self, timestamp: int) -> bool:
        """Whether a picture with this timestamp is the frame, or comes before it."""
        return (timestamp - self.timestamp - 1) % _CLOCK >= _CLOCK // 2


class Place:
    """The last segment that was played of a source, over its sessions. Not thread-safe."""

    def __init__(self, last_frame: LastFrame | None = None) -> None:
        """`last_frame`: of the log that another worker, or another engine, has begun."""
        self.segment: SegmentName | None = None
        self.last_frame = last_frame
        """Where the first session begins; None after that."""


class Known:
    """Tells which pictures of a playlist the log has, in the order in which they are read.

    Timestamps say it, since pictures may be sent in another order than they are shown. They say it
    up to the end of the segment with the first later picture, or to the next discontinuity.
    """

    def __init__(self, last: LastFrame) -> None:
        self._last = last
        self._n_segments = 0
        self._has_later = False
        self._is_over = False

    def begin(self, *, starts_anew: bool) -> None:
        """Note that the pictures of another segment follow."""
        self._n_segments += 1
        self._is_over |= self._has_later or (starts_anew and self._n_segments > 1)

    def has(self, timestamp: int) -> bool:
        """Return whether the log has the picture."""
        if self._is_over:
            return False
        is_known = self._last.is_not_before(timestamp)
        self._has_later |= not is_known
        return is_known


def name_of(segment: Segment) -> SegmentName:
    """Return what the segment is known by, on every host and with every query."""
    part = segment.part
    text = f"{urlsplit(part.url).path} {part.byte_range and tuple(part.byte_range)}"
    return SegmentName(segment.sequence, hashlib.sha256(text.encode()).digest()[:_DIGEST_BYTES])
