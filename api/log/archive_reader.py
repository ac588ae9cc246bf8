"""Archived logs in S3: their segments, bytes and `final.json`, with LRU caches and read-ahead."""

from itertools import islice
from typing import NamedTuple

import structlog
from cachetools import LRUCache

from api.errors import UnavailableError
from api.log.block_cache import BlockCache, BlockGoneError, CacheKey
from api.log.log_state import last_chunk, read_final
from api.log.segments import Block, SegmentMap
from api.store.object_store import Objects
from streamproc.contract import object_keys
from streamproc.contract.chunk import Chunk
from streamproc.contract.object_keys import Final, SegmentInfo

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

    async def extend(self, ref: LogRef) -> SegmentMap:
        """List new segments in S3; return the map, with all that existed before the call."""
        segments = self.segments(ref)
        listed = await self._store.list_segments(ref.project, ref.task, segments.last_start)
        found = segments.missing(listed)
        if found:
            key = object_keys.segment_key(ref.project, ref.task, found[-1].start)
            metadata = await self._store.metadata(key)
            if metadata is None:
                raise _unreadable(ref, "a listed segment does not exist")
            segments.extend(found, SegmentInfo.from_metadata(metadata))
        return segments

    async def block(self, ref: LogRef, block: Block) -> bytes:
        """Return a block's bytes, from the cache if it has them."""
        try:
            return await self._cache.get(CacheKey(ref.project, ref.task, block))
        except BlockGoneError as exc:
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
        log = b""
        for block in reversed(list(self.segments(ref).blocks(0))):
            log = await self.block(ref, block) + log
            found = last_chunk(log)
            if found is not None:
                return found
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
