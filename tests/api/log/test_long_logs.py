"""Logs of months: few listings find their end, any byte and any moment, and little is kept."""

import asyncio
from collections.abc import Mapping

import msgspec
import pytest

from api.errors import OffsetExpiredError, UnavailableError
from api.log.archive_reader import Archive, LogRef
from api.log.block_cache import BlockCache
from api.log.segments import MAX_KNOWN
from api.store.object_store import SegmentPage
from api.store.segment import Segment
from streamproc.contract.chunk import Chunk, Delta, Result, StreamInfo, encode_chunk
from streamproc.contract.framing import frame_event, parse_events
from streamproc.contract.object_keys import Final, SegmentInfo, final_key, segment_start
from streamproc.contract.timestamps import rfc3339

REF = LogRef("proj_1", "vt_1", 0)
SEGMENT_BYTES = 100_100
"""No event can end at byte 100,000: its id would have one digit more."""
N_SEGMENTS = 90_000
"""A camera's month, at 30 s each."""
START_MS = 1_800_000_000_000
SEGMENT_MS = 30_000
PAGE = 1000


class MonthStore:
    """S3 with one log of equal segments, the first of which have expired; counts requests."""

    def __init__(self, *, first: int = 0, n_segments: int = N_SEGMENTS) -> None:
        self.first, self.n_segments = first, n_segments
        self.objects: dict[str, bytes] = {}
        self.n_requests = 0
        self.n_listed = 0

    async def list_page(
        self, project: str, task: str, after_start: int | None = None, limit: int | None = None
    ) -> SegmentPage:
        self.n_requests += 1
        begin = 0 if after_start is None else after_start // SEGMENT_BYTES + 1
        begin = max(begin, self.first)
        end = min(self.n_segments, begin + min(limit or PAGE, PAGE))
        listed = [Segment(n * SEGMENT_BYTES, SEGMENT_BYTES) for n in range(begin, end)]
        self.n_listed += len(listed)
        return SegmentPage(listed, bool(listed) and end < self.n_segments)

    async def list_segments(
        self, project: str, task: str, after_start: int | None = None
    ) -> list[Segment]:
        found: list[Segment] = []
        while True:
            page = await self.list_page(project, task, after_start)
            found += page.segments
            if not page.is_cut:
                return found
            after_start = found[-1].start

    async def metadata(self, key: str) -> Mapping[str, str] | None:
        self.n_requests += 1
        n = segment_start(key) // SEGMENT_BYTES
        if not self.first <= n < self.n_segments:
            return None
        at_ms = START_MS + n * SEGMENT_MS
        last_ms = at_ms + SEGMENT_MS - 1000
        info = SegmentInfo(1, n, n, n, START_MS, closed=False, first_ms=at_ms, last_ms=last_ms)
        return info.to_metadata()

    async def get(self, key: str) -> bytes | None:
        self.n_requests += 1
        return self.objects.get(key)

    async def get_range(self, key: str, start: int, end: int) -> bytes | None:
        self.n_requests += 1
        n = segment_start(key) // SEGMENT_BYTES
        return body(n)[start:end] if self.first <= n < self.n_segments else None


def body(n: int) -> bytes:
    """Return the bytes of segment `n`: an event for each of its 30 seconds."""
    log, start = b"", n * SEGMENT_BYTES
    for second in range(30):
        at = rfc3339(START_MS + n * SEGMENT_MS + 1000 * second)
        info = StreamInfo(n * 30 + second, None, 1, 0, 1.0, 1, captured_at=at)
        chunk = Chunk("id", "mm.pipeline.chunk", info, Delta((Result(0, ()),)), None)
        data = encode_chunk(chunk)
        if second == 29:
            room = SEGMENT_BYTES - len(log) - len(frame_event(data, start + len(log)))
            wide = frame_event(data + b" " * room, start + len(log))
            data += b" " * (room - (len(log) + len(wide) - SEGMENT_BYTES))  # its id grew, too
        log += frame_event(data, start + len(log))
    assert len(log) == SEGMENT_BYTES
    return log


def archive_of(store: MonthStore) -> Archive:
    cache = BlockCache(store, 64 * 2**20)
    return Archive(store, cache)  # type: ignore[arg-type]


END = N_SEGMENTS * SEGMENT_BYTES


async def test_the_end_is_found_by_one_listing_near_a_record_of_kafka() -> None:
    store = MonthStore()
    segments = await archive_of(store).extend(REF, END - 150_000)
    assert segments.end == END
    assert store.n_requests == 2  # the listing, and the last segment's metadata
    assert store.n_listed < 100


async def test_the_end_is_found_by_bisection_without_such_a_record() -> None:
    store = MonthStore()
    segments = await archive_of(store).extend(REF)
    assert segments.end == END
    assert store.n_requests < 30
    assert segments.n_known < MAX_KNOWN


async def test_the_end_is_found_though_the_beginning_has_expired() -> None:
    store = MonthStore(first=80_000)
    segments = await archive_of(store).extend(REF)
    assert segments.end == END
    assert store.n_requests < 30


async def test_the_end_of_a_closed_log_is_found_by_its_final() -> None:
    store = MonthStore()
    final = Final(END, None, "cancelled", 0, 0, 0, chain="ab" * 32)
    store.objects[final_key(REF.project, REF.task)] = msgspec.json.encode(final)
    assert (await archive_of(store).extend(REF)).end == END
    assert store.n_requests <= 4


async def test_a_wrong_record_of_kafka_does_not_hide_the_log() -> None:
    store = MonthStore(n_segments=3000)
    segments = await archive_of(store).extend(REF, 10 * END)
    assert segments.end == 3000 * SEGMENT_BYTES


async def test_a_short_log_is_listed_as_ever() -> None:
    store = MonthStore(n_segments=12)
    segments = await archive_of(store).extend(REF)
    assert (segments.end, segments.n_known, store.n_requests) == (12 * SEGMENT_BYTES, 12, 2)


async def test_a_cold_read_from_the_middle_takes_few_requests() -> None:
    store = MonthStore()
    archive = archive_of(store)
    await archive.extend(REF, END)
    store.n_requests = 0
    offset = 45_000 * SEGMENT_BYTES + 1234
    assert not archive.segments(REF).has(offset)
    await archive.find(REF, offset)
    got = await archive.read(REF, offset)
    assert bytes(got) == body(45_000)[1234:]
    await asyncio.sleep(0)
    assert store.n_requests <= 1 + 1 + 8  # a listing, the block, and the blocks that are read ahead


async def test_a_whole_replay_keeps_few_segments_and_lists_pages() -> None:
    store = MonthStore(n_segments=9000)
    archive = archive_of(store)
    segments = await archive.extend(REF, 9000 * SEGMENT_BYTES)
    offset, n_finds, most = 0, 0, 0
    while offset < segments.end:
        if not segments.has(offset):
            await archive.find(REF, offset)
            n_finds += 1
        for block in segments.blocks(offset):
            assert block.log_start == offset
            offset = block.log_end
        most = max(most, segments.n_known)
    assert n_finds <= 9000 / 900 + 1
    assert most <= MAX_KNOWN
    assert segments.end == 9000 * SEGMENT_BYTES


async def test_new_segments_are_found_after_the_last_known_one() -> None:
    store = MonthStore(n_segments=5000)
    archive = archive_of(store)
    await archive.extend(REF, 5000 * SEGMENT_BYTES)
    store.n_segments, store.n_requests = 5003, 0
    segments = await archive.extend(REF)
    assert (segments.end, store.n_requests) == (5003 * SEGMENT_BYTES, 2)


async def test_bytes_before_the_first_kept_one_have_expired() -> None:
    store = MonthStore(first=70_000)
    archive = archive_of(store)
    await archive.extend(REF, END)
    for offset in (0, 70_000 * SEGMENT_BYTES - 1):
        with pytest.raises(OffsetExpiredError) as expired:
            await archive.find(REF, offset)
        assert expired.value.start == 70_000 * SEGMENT_BYTES
        assert expired.value.extra == {"start": 70_000 * SEGMENT_BYTES}
        assert expired.value.headers == {"Stream-First-Offset": str(70_000 * SEGMENT_BYTES)}
    await archive.find(REF, 70_000 * SEGMENT_BYTES)


async def test_a_segment_that_expires_after_it_was_listed_is_noticed() -> None:
    store = MonthStore(n_segments=50)
    archive = archive_of(store)
    await archive.extend(REF)
    store.first = 10
    with pytest.raises(OffsetExpiredError):
        await archive.read(REF, 9 * SEGMENT_BYTES)
    assert not archive.segments(REF).has(9 * SEGMENT_BYTES)
    assert bytes(await archive.read(REF, 10 * SEGMENT_BYTES)) == body(10)


async def test_a_segment_that_is_lost_is_no_expired_one() -> None:
    store = MonthStore(n_segments=50)
    archive = archive_of(store)
    await archive.extend(REF)
    whole = store.get_range

    async def torn(key: str, start: int, end: int) -> bytes | None:
        return None if segment_start(key) == 9 * SEGMENT_BYTES else await whole(key, start, end)

    store.get_range = torn  # type: ignore[method-assign]
    with pytest.raises(UnavailableError):
        await archive.read(REF, 9 * SEGMENT_BYTES)


async def test_the_last_chunk_of_a_long_log_is_read_from_its_end() -> None:
    store = MonthStore()
    archive = archive_of(store)
    await archive.extend(REF, END)
    store.n_requests = 0
    chunk = await archive.last_chunk(REF)
    assert chunk is not None
    assert chunk.stream_info.frame_index == N_SEGMENTS * 30 - 1
    assert store.n_requests == 1


@pytest.mark.parametrize("n", [0, 1, 4_711, 45_000, 89_998, 89_999])
@pytest.mark.parametrize("second", [0, 17])
async def test_a_moment_is_found_by_few_requests(n: int, second: int) -> None:
    store = MonthStore()
    archive = archive_of(store)
    await archive.extend(REF, END)
    store.n_requests = 0
    time_ms = START_MS + n * SEGMENT_MS + 1000 * second
    offset = await archive.offset_at(REF, time_ms)
    events = list(parse_events(body(n), n * SEGMENT_BYTES))
    assert offset == events[second].start
    assert store.n_requests < 30
    if time_ms > START_MS:
        assert await archive.offset_at(REF, time_ms - 1) == offset


async def test_a_moment_before_the_first_kept_byte_is_that_byte() -> None:
    store = MonthStore(first=60_000)
    archive = archive_of(store)
    await archive.extend(REF, END)
    assert await archive.offset_at(REF, START_MS) == 60_000 * SEGMENT_BYTES
