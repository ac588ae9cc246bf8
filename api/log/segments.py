"""Segment map: a task's segments in S3, their blocks, and the fold state after the last one."""

from bisect import bisect_right
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from api.store.segment import Segment
from streamproc.contract.fold import Fold
from streamproc.contract.object_keys import SegmentInfo
from streamproc.contract.records import Attempt

BLOCK_BYTES = 1024 * 1024


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
    """One task's segments, in order and without gaps; the map only grows."""

    def __init__(self) -> None:
        self._starts: list[int] = []
        self._end = 0
        self._info: SegmentInfo | None = None

    @property
    def end(self) -> int:
        """The log offset up to which S3 is known to hold the log."""
        return self._end

    @property
    def last_start(self) -> int | None:
        """The start of the last known segment: the next listing continues after it."""
        return self._starts[-1] if self._starts else None

    @property
    def closed(self) -> bool:
        return self._info is not None and self._info.closed

    @property
    def n_records(self) -> int:
        """The number of records in the known segments, including a terminal."""
        return 0 if self._info is None else self._info.next_seq

    @property
    def started_ms(self) -> int | None:
        return None if self._info is None else self._info.started_ms

    @property
    def attempts(self) -> tuple[Attempt, ...]:
        """The providers that failed before the one that wrote the last known segment."""
        return () if self._info is None else self._info.attempts

    def missing(self, listed: Iterable[Segment]) -> list[Segment]:
        """Return the listed segments that continue this map without a gap.

        A segment after a gap is left out: archivers write in order, so a gap means an incomplete
        listing, and a later listing will be complete.
        """
        found: list[Segment] = []
        end = self._end
        for segment in listed:
            if segment.start == end and segment.size_bytes:
                found.append(segment)
                end = segment.end
        return found

    def extend(self, found: list[Segment], info: SegmentInfo) -> None:
        """Add the segments that `missing` returned; `info` is of the last one. Idempotent."""
        for segment in self.missing(found):
            self._starts.append(segment.start)
            self._end = segment.end
        if found and found[-1].end == self._end:
            self._info = info

    def fold(self) -> Fold:
        """Return the fold state after the last segment, or the initial one without segments."""
        if self._info is None:
            return Fold()
        return Fold(
            position=self._info.next_position,
            epoch=self._info.epoch,
            next_off=self._end,
            next_seq=self._info.next_seq,
            last_frame=self._info.last_frame,
            closed=self._info.closed,
        )

    def blocks(self, offset: int) -> Iterator[Block]:
        """Yield the blocks from the one with `offset` to the last known one."""
        if not 0 <= offset < self._end:
            return
        at = bisect_right(self._starts, offset) - 1
        begin = (offset - self._starts[at]) // BLOCK_BYTES * BLOCK_BYTES
        while at < len(self._starts):
            start = self._starts[at]
            size_bytes = (self._starts[at + 1] if at + 1 < len(self._starts) else self._end) - start
            while begin < size_bytes:
                yield Block(start, begin, min(begin + BLOCK_BYTES, size_bytes))
                begin += BLOCK_BYTES
            begin = 0
            at += 1
