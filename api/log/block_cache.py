"""LRU cache of blocks of immutable segments; concurrent reads of a block share one S3 request."""

import asyncio
from collections.abc import Iterable
from typing import NamedTuple, Protocol

from cachetools import LRUCache

from api.log.segments import Block
from streamproc.contract import object_keys


class BlockGoneError(Exception):
    """A listed segment does not exist, or is shorter than listed."""


class RangeSource(Protocol):
    """The source of blocks: `api.store.object_store.Objects`, or a model of it."""

    async def get_range(self, key: str, start: int, end: int) -> bytes | None: ...


class CacheKey(NamedTuple):
    project: str
    task: str
    block: Block


class BlockCache:
    """Holds at most `budget_bytes` of blocks; evicts the least recently used first.

    Reads in progress are shared: a second reader of a block waits for the first one's read. A
    reader that is cancelled does not stop a read that others may wait for.
    """

    def __init__(self, source: RangeSource, budget_bytes: int) -> None:
        self.n_reads = 0
        self.read_bytes = 0
        self._source = source
        self._kept: LRUCache[CacheKey, bytes] = LRUCache(budget_bytes, getsizeof=len)
        self._reading: dict[CacheKey, asyncio.Task[bytes]] = {}

    @property
    def size_bytes(self) -> int:
        return int(self._kept.currsize)

    async def get(self, key: CacheKey) -> bytes:
        """Return the block's bytes; raises `BlockGoneError` and the source's exceptions."""
        kept = self._kept.get(key)
        if kept is not None:
            return kept
        return await asyncio.shield(self._read(key))

    def prefetch(self, keys: Iterable[CacheKey]) -> None:
        """Start to read blocks that are not cached; a failure is raised only by a later `get`."""
        for key in keys:
            if key not in self._kept:
                self._read(key)

    async def close(self) -> None:
        """Cancel all reads in progress."""
        reading = list(self._reading.values())
        for task in reading:
            task.cancel()
        await asyncio.gather(*reading, return_exceptions=True)

    def _read(self, key: CacheKey) -> asyncio.Task[bytes]:
        task = self._reading.get(key)
        if task is None:
            task = self._reading[key] = asyncio.create_task(self._fetch(key))
            task.add_done_callback(lambda done: self._ended(key, done))
        return task

    async def _fetch(self, key: CacheKey) -> bytes:
        block = key.block
        name = object_keys.segment_key(key.project, key.task, block.segment)
        self.n_reads += 1
        data = await self._source.get_range(name, block.begin, block.end)
        if data is None or len(data) != block.size_bytes:
            raise BlockGoneError(f"segment {name} is missing or has another size than listed")
        self.read_bytes += len(data)
        return data

    def _ended(self, key: CacheKey, done: asyncio.Task[bytes]) -> None:
        self._reading.pop(key, None)
        if done.cancelled() or done.exception() is not None:
            return
        data = done.result()
        if len(data) <= self._kept.maxsize:
            self._kept[key] = data
