"""Blocks are read once however many want them, and kept within a budget."""

import asyncio

import pytest

from api.log.block_cache import BlockCache, BlockGoneError, CacheKey
from api.log.segments import Block


class GatedSource:
    """Answers once `gate` is set; counts what it was asked."""

    def __init__(self) -> None:
        self.gate = asyncio.Event()
        self.asked: list[tuple[str, int, int]] = []
        self.lost = False

    async def get_range(self, key: str, start: int, end: int) -> bytes | None:
        self.asked.append((key, start, end))
        await self.gate.wait()
        return None if self.lost else b"x" * (end - start)


def key(segment: int, size_bytes: int = 10) -> CacheKey:
    return CacheKey("p", "t", Block(segment, 0, size_bytes))


async def test_readers_at_once_share_one_read_and_its_bytes() -> None:
    source = GatedSource()
    cache = BlockCache(source, 100)
    readers = [asyncio.create_task(cache.get(key(0))) for _ in range(50)]
    await asyncio.sleep(0)
    readers[0].cancel()
    source.gate.set()
    got = await asyncio.gather(*readers[1:])
    assert source.asked == [("p/t/seg/" + "0" * 20, 0, 10)]
    assert all(piece is got[0] for piece in got)
    assert await cache.get(key(0)) is got[0]
    assert cache.n_reads == 1


async def test_the_least_recently_read_leaves() -> None:
    source = GatedSource()
    source.gate.set()
    cache = BlockCache(source, 25)
    for segment in (0, 10, 0, 20):
        await cache.get(key(segment))
    assert cache.size_bytes == 20
    await cache.get(key(0))
    assert cache.n_reads == 3
    await cache.get(key(10))
    assert cache.n_reads == 4


async def test_a_lost_segment_is_an_error_every_time_and_is_not_kept() -> None:
    source = GatedSource()
    source.gate.set()
    source.lost = True
    cache = BlockCache(source, 25)
    for _ in range(2):
        with pytest.raises(BlockGoneError):
            await cache.get(key(0))
    source.lost = False
    assert await cache.get(key(0)) == b"x" * 10


async def test_what_is_fetched_ahead_is_not_fetched_again() -> None:
    source = GatedSource()
    cache = BlockCache(source, 100)
    cache.prefetch([key(0), key(10)])
    source.gate.set()
    await cache.get(key(10))
    await cache.get(key(0))
    assert cache.n_reads == 2
    await cache.close()
