"""Segment map: a task's segments in S3, their blocks, and the fold state after the last one."""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from api.store.segment import Segment
from streamproc.contract.fold import Fold
from streamproc.contract.object_keys import SegmentInfo
from streamproc.contract.records import Attempt

BLOCK_BYTES = 1024 * 1024
MAX_KNOWN = 4096
"""Segments of one task that are kept; any other one is listed again when it is read."""


class Block(NamedTuple):
    """The unit of reads from S3: bytes `[begin, end)` of the segment that starts at `segment`.

    Block boundaries do not depend on the reader, so blocks can be shared and cached.
    """

    segment: int
    begin: int
    end: int

    @property
    def log_start(self) -> int:
        return self.segment + self.begin

    @property
    def log_end(self) -> int:
        return self.segment + self.end

    @property
    def size_bytes(self) -> int:
        return self.end - self.begin


class SegmentMap:
    """What is known of one task's segments: the end of the log in S3, and some of the segments.

    All of them, unless there are many: a log of months has more than a process should keep. The
    end only grows.
    """

    def __init__(self) -> None:
        self._known: list[Segment] = []  # by start; there may be others in between
        self._last: Segment | None = None
        self._info: SegmentInfo | None = None

    @property
    def end(self) -> int:
        """The log offset up to which S3 is known to hold the log."""
        return 0 if self._last is None else self._last.end

    @property
    def last_start(self) -> int | None:
        """The start of the last known segment: the next listing continues after it."""
        return None if self._last is None else self._last.start

    @property
    def n_known(self) -> int:
        return len(self._known)

    @property
    def closed(self) -> bool:
        return self._info is not None and self._info.closed

    @property
    def n_records(self) -> int:
        """The number of records in the archived log, including a terminal."""
        return 0 if self._info is None else self._info.next_seq

    @property
    def started_ms(self) -> int | None:
        return None if self._info is None else self._info.started_ms

    @property
    def last_ms(self) -> int | None:
        """When the last archived frame was captured, in Unix ms; None if its segment lacks it."""
        return None if self._info is None else self._info.last_ms

    @property
    def provider(self) -> str | None:
        """The provider that wrote the last known segment; None if that does not say."""
        return None if self._info is None else self._info.provider

    @property
    def attempts(self) -> tuple[Attempt, ...]:
        """The providers that failed before the one that wrote the last known segment."""
        return () if self._info is None else self._info.attempts

    def missing(self, listed: Iterable[Segment], *, begin: int = 0) -> list[Segment]:
        """Return the listed segments that continue this map without a gap.

        A segment after a gap is left out: archivers write in order, so a gap means an incomplete
        listing, and a later listing will be complete. `begin` is where a map without any segment
        begins: that of a long log is known from its end alone.
        """
        found: list[Segment] = []
        end = begin if self._last is None else self._last.end
        for segment in listed:
            if segment.start == end and segment.size_bytes:
                found.append(segment)
                end = segment.end
        return found

    def extend(self, found: list[Segment], info: SegmentInfo) -> None:
        """Add the segments that `missing` returned; `info` is of the last one. Idempotent."""
        new = self.missing(found, begin=found[0].start if found else 0)
        if new:
            self._last = new[-1]
            self.note(new)
        if found and found[-1].end == self.end:
            self._info = info

    def note(self, listed: Iterable[Segment]) -> None:
        """Add listed segments, wherever they are; of too many, others are dropped."""
        new = {segment.start: segment for segment in listed}
        if len(self._known) + len(new) > MAX_KNOWN:
            self._known = [] if self._last is None else [self._last]
        kept = {segment.start: segment for segment in self._known} | new
        self._known = [kept[start] for start in sorted(kept)][-MAX_KNOWN:]

    def forget_before(self, start: int) -> None:
        """Drop the segments before `start`: they have expired."""
        self._known = [segment for segment in self._known if segment.start >= start]

    def has(self, offset: int) -> bool:
        """Return whether the segment that holds the byte at `offset` is known."""
        return self._at(offset) is not None

    def fold(self) -> Fold:
        """Return the fold state after the last segment, or the initial one without segments."""
        if self._info is None:
            return Fold()
        return Fold(
            position=self._info.next_position,
            epoch=self._info.epoch,
            next_off=self.end,
            next_seq=self._info.next_seq,
            last_frame=self._info.last_frame,
            closed=self._info.closed,
        )

    def blocks(self, offset: int) -> Iterator[Block]:
        """Yield the blocks from the one with `offset` to the last one before an unknown segment."""
        at = self._at(offset)
        if at is None:
            return
        begin = (offset - self._known[at].start) // BLOCK_BYTES * BLOCK_BYTES
        end = self._known[at].start
        for segment in self._known[at:]:
            if segment.start != end:
                return
            while begin < segment.size_bytes:
                yield Block(segment.start, begin, min(begin + BLOCK_BYTES, segment.size_bytes))
                begin += BLOCK_BYTES
            begin = 0
            end = segment.end

    def block_before(self, end: int) -> Block | None:
        """Return the block that ends at log offset `end`, None if its segment is not known."""
        at = bisect_left(self._known, end, key=_start) - 1
        if at < 0 or self._known[at].end < end:
            return None
        segment = self._known[at]
        begin = (end - 1 - segment.start) // BLOCK_BYTES * BLOCK_BYTES
        return Block(segment.start, begin, end - segment.start)

    def _at(self, offset: int) -> int | None:
        at = bisect_right(self._known, offset, key=_start) - 1
        return at if at >= 0 and offset < self._known[at].end else None


def _start(segment: Segment) -> int:
    return segment.start
