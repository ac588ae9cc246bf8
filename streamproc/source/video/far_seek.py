"""Seeking in a remote source by timestamps in its container, without reading all of it.

Matroska: by Cues, else by the times of clusters. Fragmented MP4: by `mfra` or `sidx`, else by the
times of fragments. Transport streams: by the times of pictures. Other formats are not supported.
"""

from fractions import Fraction
from functools import cached_property
from itertools import islice
from typing import Final

from streamproc.source.errors import SourceError
from streamproc.source.video import matroska, mp4_fragments
from streamproc.source.video.container import VideoStream
from streamproc.source.video.libav_io import Bridge
from streamproc.source.video.mpeg_ts import TransportClock
from streamproc.source.video.time_marks import (
    DisorderError,
    Mark,
    NextMark,
    last_before,
    last_listed,
)

_CLOSE_S: Final = 2
_FIRST_PACKETS: Final = 48
_MOST_REORDERED: Final = 16
"""The last ones in presentation order are ignored: later packets may be shown between them."""
_SAMPLES: Final = 7
"""Clock samples of a transport stream: joined streams may have unrelated clocks."""


class Jumps:
    """Seeks in one stream; created once, at the stream's start. `first_pts`: of its first frame."""

    def __init__(self, stream: VideoStream, first_pts: int) -> None:
        self._stream, self._first_pts = stream, first_pts
        self.rate = stream.extent.counting_rate
        self._duration_s = stream.extent.duration_s
        self._origin_s = Fraction(0)
        self._has_looked = False

    def index_at(self, pts: int) -> int:
        """Return the estimated index of the frame at `pts`, assuming a constant rate."""
        self.look_at_beginning()
        return round((pts * self._stream.time_base - self._origin_s) * self.rate)

    def look_at_beginning(self) -> None:
        """Compute the time of the first frame from the following frames, for a constant rate.

        Writers of fragments give the first frames earlier times, so that no time is below zero. The
        stream's position changes; a second call does nothing.
        """
        if self._has_looked:
            return
        self._has_looked = True
        stream = self._stream
        stream.rewind()
        first = islice(stream.packets(), _FIRST_PACKETS)
        shown = [p.pts for p in first if p.pts is not None and stream.is_shown(p)]
        times = sorted(pts for pts in shown if pts >= self._first_pts)
        times = times[:-_MOST_REORDERED] or [self._first_pts]
        late_s = sorted(pts * stream.time_base - n / self.rate for n, pts in enumerate(times))
        self._origin_s = late_s[len(late_s) // 2]

    def go_before(self, pts: int) -> bool:
        """Seek to a position shortly before the packets that are decoded at `pts`.

        False when the container has no information for this; then the stream has to be rewound.
        """
        try:
            if self._stream.format == "matroska":
                return self._into_clusters(pts)
            if self._stream.movie is not None:
                return self._into_fragments(self._stream.movie, pts)
            return self._stream.format == "mpegts" and self._into_packets(pts)
        except (DisorderError, SourceError):  # also if it cannot be opened there
            return False

    def _into_clusters(self, pts: int) -> bool:
        layout = matroska.layout(self._stream.read_at)
        if layout is None:
            return False
        if layout.has_cues:
            self._stream.rewind()
            return self._stream.seek(pts)

        def next_mark(position: int, end: int) -> Mark | None:
            return matroska.next_cluster(self._stream.read_at, position, end)

        start = layout.first_cluster
        mark = self._found(next_mark, start, pts)
        if mark is None or mark.position - start < matroska.VOID_BYTES:
            return False
        length = mark.position - start
        self._stream.rewind(Bridge(start, mark.position, matroska.void(length)))
        return True

    def _into_fragments(self, movie: mp4_fragments.Box, pts: int) -> bool:
        def next_mark(position: int, end: int) -> Mark | None:
            return mp4_fragments.next_fragment(
                self._stream.read_at, self._stream.stream.id, position, end
            )

        listed = self._listed_fragments
        start = movie.end
        mark = last_listed(listed, pts) if listed else self._found(next_mark, start, pts)
        if mark is None or mark.position - start < mp4_fragments.FREE_BYTES:
            return False
        length = mark.position - start
        self._stream.rewind(Bridge(start, mark.position, mp4_fragments.free(length)))
        return True

    @cached_property
    def _listed_fragments(self) -> list[Mark]:
        stream = self._stream
        if stream.movie is None or stream.size_bytes is None:
            return []
        scale = stream.time_base.denominator
        return mp4_fragments.listed(
            stream.read_at, stream.movie, stream.stream.id, stream.size_bytes, scale
        )

    def _into_packets(self, pts: int) -> bool:
        clock = TransportClock(self._stream.read_at, self._stream.stream.id, self._first_pts)
        mark = self._found(clock.next_mark, 0, pts, n_samples=_SAMPLES)
        return mark is not None and self._stream.seek(pts, mark.position)

    def _found(
        self, next_mark: NextMark, start: int, pts: int, *, n_samples: int = 0
    ) -> Mark | None:
        size = self._stream.size_bytes
        first = None if size is None else next_mark(start, size)
        if first is None or size is None or first.time > pts:
            return None
        second = self._stream.time_base.denominator / Fraction(self._stream.time_base.numerator)
        length = round((self._duration_s or 0) * second)
        end = Mark(first.time + length, size)
        close = max(1, round(_CLOSE_S * second))
        return last_before(next_mark, pts, first, end, close=close, n_samples=n_samples)
