"""Archived logs in S3: their segments, bytes and `final.json`, with LRU caches and read-ahead."""

from itertools import islice
from typing import NamedTuple

import structlog
from cachetools import LRUCache

from api.errors import OffsetExpiredError, UnavailableError
from api.log.block_cache import BlockCache, BlockGoneError, CacheKey
from api.log.log_state import first_event_at, last_chunk, read_final
from api.log.segment_search import SegmentSearch
from api.log.segments import BLOCK_BYTES, Block, SegmentMap
from api.store.object_store import Objects
from api.store.segment import Segment
from streamproc.contract import object_keys
from streamproc.contract.chunk import Chunk
from streamproc.contract.object_keys import MAX_SEGMENT_BYTES, Final, SegmentInfo

_MAX_TASKS = 2048
_AHEAD_BLOCKS = 8
_AHEAD_BYTES = 4 * 1024 * 1024

_log = structlog.get_logger("framewire.api.log")


class LogRef(NamedTuple):
    """Reference to a task's log: its project, and the partition of video.chunks that holds it."""

    project: str
    task: str
    partition: int


class Archive:
    """Reads archived logs; keeps what it knows of the most recently used tasks in memory."""

    def __init__(self, store: Objects, cache: BlockCache) -> None:
        self._store = store
        self._cache = cache
        self._maps: LRUCache[LogRef, SegmentMap] = LRUCache(_MAX_TASKS)
        self._finals: LRUCache[LogRef, Final] = LRUCache(_MAX_TASKS)

    def segments(self, ref: LogRef) -> SegmentMap:
        """Return the known segments of the task, without a request to S3."""
        segments = self._maps.get(ref)
        if segments is None:
            segments = self._maps[ref] = SegmentMap()
        return segments

    async def extend(self, ref: LogRef, near: int = 0) -> SegmentMap:
        """List new segments in S3; return the map, with the end of the log before the call.

        `near`: a byte that is not far behind the end of the log in S3, if one is known.
        """
        segments = self.segments(ref)
        if segments.last_start is None:
            listed = await self._ending(ref, near)
        else:
            listed = await self._store.list_segments(ref.project, ref.task, segments.last_start)
        found = segments.missing(listed, begin=listed[0].start if listed else 0)
        if found:
            key = object_keys.segment_key(ref.project, ref.task, found[-1].start)
            metadata = await self._store.metadata(key)
            if metadata is None:
                raise _unreadable(ref, "a listed segment does not exist")
            segments.extend(found, SegmentInfo.from_metadata(metadata))
        return segments

    async def _ending(self, ref: LogRef, near: int) -> list[Segment]:
        """List the segments of a task that is not known yet: all, or the last ones of many."""
        search = SegmentSearch(self._store, ref.project, ref.task)
        if near > MAX_SEGMENT_BYTES and (listed := await search.ending(near)):
            return listed
        first = await search.first()
        if not first.is_cut:
            return first.segments
        final = await self.final(ref)
        if final is not None and (listed := await search.ending(final.length)):
            return listed
        return await search.ending_after(first.segments[-1])

    async def find(self, ref: LogRef, offset: int) -> None:
        """List the segments around the byte at `offset`, which is archived.

        Raises `OffsetExpiredError` if it has expired, `UnavailableError` if there is none.
        """
        segments = self.segments(ref)
        search = SegmentSearch(self._store, ref.project, ref.task)
        found, first = await search.around(offset)
        segments.note(segment for segment in found if segment.size_bytes)
        if segments.has(offset):
            return
        if offset < first:
            segments.forget_before(first)
            raise OffsetExpiredError(first)
        raise _unreadable(ref, f"no segment holds byte {offset}")

    async def block(self, ref: LogRef, block: Block) -> bytes:
        """Return a block's bytes, from the cache if it has them."""
        try:
            return await self._cache.get(CacheKey(ref.project, ref.task, block))
        except BlockGoneError as exc:
            # It may have expired since it was listed.
            self.segments(ref).forget_before(block.segment + 1)
            await self.find(ref, block.segment)
            raise _unreadable(ref, str(exc)) from exc

    async def read(self, ref: LogRef, offset: int) -> bytes | memoryview:
        """Return the bytes from `offset` to the end of its block, and prefetch the next blocks.

        The known segments must contain `offset`.
        """
        blocks = list(islice(self.segments(ref).blocks(offset), 1 + _AHEAD_BLOCKS))
        block = blocks[0]
        self._cache.prefetch(CacheKey(ref.project, ref.task, b) for b in _ahead(blocks[1:]))
        data = await self.block(ref, block)
        skip = offset - block.log_start
        return memoryview(data)[skip:] if skip else data

    async def offset_at(self, ref: LogRef, time_ms: int) -> int:
        """Return where the first archived event of `time_ms` or later begins.

        The last known segment must have one. Where chunks do not say when they were captured, it is
        the segment's start.
        """
        segments = self.segments(ref)
        start, end = segments.last_start or 0, segments.end
        search = SegmentSearch(self._store, ref.project, ref.task)
        found = await search.at(time_ms, Segment(start, end - start))
        segments.note([found])
        offset = found.start
        for block in islice(segments.blocks(offset), found.size_bytes // BLOCK_BYTES + 1):
            log = await self.block(ref, block) if block.segment == found.start else b""
            at = first_event_at(log, time_ms)
            if at is not None:
                return block.log_start + at
        return offset

    async def final(self, ref: LogRef) -> Final | None:
        """Return the task's `final.json`, None until it is written."""
        final = self._finals.get(ref)
        if final is None:
            final = read_final(await self._store.get(object_keys.final_key(ref.project, ref.task)))
            if final is not None:
                self._finals[ref] = final
        return final

    async def last_chunk(self, ref: LogRef) -> Chunk | None:
        """Return the newest archived chunk."""
        log, end, segments = b"", self.segments(ref).end, self.segments(ref)
        while end > 0:
            block = segments.block_before(end)
            if block is None:
                try:
                    await self.find(ref, end - 1)
                except OffsetExpiredError:
                    return None
                continue
            log = await self.block(ref, block) + log
            found = last_chunk(log)
            if found is not None:
                return found
            end = block.log_start
        return None


def _ahead(blocks: list[Block]) -> list[Block]:
    """Return the first of `blocks` that together fit into the read-ahead limit."""
    room_bytes = _AHEAD_BYTES
    for n, block in enumerate(blocks):
        room_bytes -= block.size_bytes
        if room_bytes < 0:
            return blocks[:n]
    return blocks


def _unreadable(ref: LogRef, why: str) -> UnavailableError:
    _log.error("archived bytes cannot be read", task=ref.task, why=why)
    return UnavailableError("The archive of this task cannot be read.")
