"""The hub's rules one by one; the machine next door proves them together."""

import sys

import msgspec
import pytest

from api.log.tail_cache import TailCache, TaskPlace
from api.log.task_tail import TailView
from streamproc.contract.fold import Fold
from streamproc.contract.records import ChunkRecord
from tests.api.log.builders import PROJECT, TASK, bytes_of, record, whole_log

PARTITION = 3


def hub_with(records: list[ChunkRecord], *, budget_bytes: int = 1 << 20) -> TailCache:
    tail_cache = TailCache(budget_bytes)
    tail_cache.start(PARTITION, 0)
    tail_cache.feed(PARTITION, records, len(records))
    return tail_cache


def seed(tail_cache: TailCache, fold: Fold | None = None, *, task: str = TASK) -> bool:
    return tail_cache.seed(task, tail_cache.ticket(task, PARTITION), fold or Fold())


def view_of(tail_cache: TailCache) -> TailView:
    view = tail_cache.view(TASK)
    assert view is not None
    return view


def read_all(tail_cache: TailCache, offset: int, limit_bytes: int) -> bytes:
    got = b""
    while offset + len(got) < view_of(tail_cache).end:
        got += tail_cache.read(TASK, offset + len(got), limit_bytes)
    return got


def test_a_task_is_unread_until_it_is_seeded() -> None:
    tail_cache = hub_with(whole_log(3))
    assert tail_cache.view(TASK) is None
    with pytest.raises(KeyError):
        tail_cache.read(TASK, 0, 10)
    assert seed(tail_cache)
    log = bytes_of(whole_log(3))
    assert tail_cache.view(TASK) == TailView(0, len(log), closed=True, n_records=4)


@pytest.mark.parametrize("limit_bytes", [1, 100, 700, 10_000])
def test_any_offset_gives_the_suffix(limit_bytes: int) -> None:
    tail_cache = hub_with(whole_log(3))
    seed(tail_cache)
    log = bytes_of(whole_log(3))
    for offset in range(len(log)):
        assert read_all(tail_cache, offset, limit_bytes) == log[offset:]


def test_a_piece_is_shared_not_copied() -> None:
    records = whole_log(2)
    tail_cache = hub_with(records)
    seed(tail_cache)
    assert tail_cache.read(TASK, 0, 10) is records[1].value


def test_a_batch_names_the_tasks_it_touched_and_is_taken_once() -> None:
    tail_cache = hub_with([])
    records = [*whole_log(1, closed=False), record("claim", 2, task="vt_2")]
    assert tail_cache.feed(PARTITION, records, 3) == {TASK, "vt_2"}
    size_bytes = tail_cache.size_bytes
    assert tail_cache.feed(PARTITION, records, 3) == set()
    assert tail_cache.size_bytes == size_bytes
    assert tail_cache.position(PARTITION) == 3


def test_position_passes_what_is_no_record() -> None:
    tail_cache = hub_with([])
    tail_cache.feed(PARTITION, [], 17)
    assert tail_cache.position(PARTITION) == 17


def test_only_what_is_archived_leaves_and_oldest_first() -> None:
    records = whole_log(6, closed=False)
    tail_cache = hub_with(records, budget_bytes=1)
    seed(tail_cache)
    assert view_of(tail_cache).start == 0, "nothing is archived yet"
    assert tail_cache.saturated
    tail_cache.archived({PARTITION: 3})  # the claim and two chunks
    assert view_of(tail_cache).start == records[2].end
    assert tail_cache.ticket(TASK, PARTITION).low_watermark == 3
    log = bytes_of(records)
    assert read_all(tail_cache, records[2].end, 100) == log[records[2].end :]
    tail_cache.archived({PARTITION: 7})
    assert tail_cache.view(TASK) == TailView(len(log), len(log), closed=False, n_records=6)
    assert tail_cache.size_bytes == 0


def test_nothing_leaves_within_the_budget() -> None:
    tail_cache = hub_with(whole_log(6))
    tail_cache.archived({PARTITION: 8})
    assert tail_cache.view(TASK) is None
    assert tail_cache.ticket(TASK, PARTITION).low_watermark == 0


def test_a_seed_is_refused_when_the_ring_lost_what_the_listing_may_lack() -> None:
    records = whole_log(6)
    tail_cache = hub_with(records, budget_bytes=1)
    ticket = tail_cache.ticket(TASK, PARTITION)
    tail_cache.archived({PARTITION: 4})
    assert not tail_cache.seed(TASK, ticket, Fold())
    listed = Fold(position=4, epoch=0, next_off=records[3].end, next_seq=3, last_frame=2)
    assert tail_cache.seed(TASK, ticket, listed), "the listing holds all that left"
    assert view_of(tail_cache).start == records[3].end


def test_a_listing_after_the_ticket_needs_no_more_than_the_ticket() -> None:
    """What left the ring before the listing may all have been dropped by the fold."""
    records = whole_log(2, closed=False)
    stale = [msgspec.structs.replace(records[1], position=3 + n) for n in range(3)]
    tail_cache = hub_with([*records, *stale], budget_bytes=1)
    tail_cache.archived({PARTITION: 6})
    listed = Fold(position=3, epoch=0, next_off=records[2].end, next_seq=2, last_frame=1)
    assert tail_cache.ticket(TASK, PARTITION).low_watermark == 6
    assert seed(tail_cache, listed)


def test_a_gap_unseeds_once_then_is_known_to_be_in_the_log() -> None:
    records = whole_log(4, closed=False)
    tail_cache = hub_with(records[:2])
    seed(tail_cache)
    lost = [msgspec.structs.replace(found, position=found.position - 1) for found in records[3:]]
    tail_cache.feed(PARTITION, lost[:1], 3)
    assert tail_cache.view(TASK) is None
    assert tail_cache.n_gaps == 1
    assert seed(tail_cache)
    assert view_of(tail_cache).end == records[1].end
    tail_cache.feed(PARTITION, lost[1:], 4)
    assert tail_cache.view(TASK) is not None, "the same gap is not read again and again"
    claim = record("claim", 4)
    healed = msgspec.structs.replace(records[2], position=5, epoch=4)
    tail_cache.feed(PARTITION, [claim, healed], 6)
    assert view_of(tail_cache).end == records[2].end


def test_a_zombies_bytes_are_not_read() -> None:
    first = whole_log(2, closed=False)
    zombie = whole_log(4, closed=False)[3]
    tail_cache = hub_with([*first, record("claim", 3), msgspec.structs.replace(zombie, position=4)])
    seed(tail_cache)
    assert read_all(tail_cache, 0, 10_000) == bytes_of(first)


def test_cargo_of_workers_and_index_is_not_kept() -> None:
    heavy = [
        msgspec.structs.replace(found, ckpt=b"c" * 5000, vectors=b"v" * 5000, pin=b"p")
        for found in whole_log(2)
    ]
    assert hub_with(heavy).size_bytes == hub_with(whole_log(2)).size_bytes


def test_facts_come_from_claims_and_records() -> None:
    tail_cache = hub_with(whole_log(2))
    seed(tail_cache)
    facts = tail_cache.facts(TASK)
    assert (facts.started_ms, facts.finished_ms) == (1000, 1003)
    assert facts.claim == whole_log(2)[0].value
    assert facts.first == whole_log(2)[1].value
    assert facts.last == whole_log(2)[3].value


def test_tasks_that_nobody_needs_are_forgotten_and_watched_ones_are_kept() -> None:
    tail_cache = TailCache(1 << 20, max_idle_tasks=2)
    tail_cache.start(PARTITION, 0)
    tail_cache.watch("watched", PARTITION)
    seed(tail_cache, task="watched")
    for n in range(5):
        seed(tail_cache, task=f"idle{n}")
    assert tail_cache.view("watched") is not None
    assert [n for n in range(5) if tail_cache.view(f"idle{n}") is not None] == [3, 4]
    tail_cache.unwatch("watched")
    assert tail_cache.view("watched") is not None
    assert tail_cache.view("idle3") is None


def test_a_claim_that_nothing_follows_holds_nobody_else_up() -> None:
    idle = record("claim", 0, task="vt_idle")
    records = whole_log(20, position=1, closed=False)
    tail_cache = TailCache(8000)
    tail_cache.start(PARTITION, 0)
    tail_cache.feed(PARTITION, [idle, *records], 22)
    assert tail_cache.eviction_blocked
    assert tail_cache.saturated
    tail_cache.archived({PARTITION: 0})  # the commit waits for the idle claim
    assert tail_cache.saturated
    assert tail_cache.eviction_candidates(5) == [TaskPlace(PROJECT, TASK, PARTITION)]
    last = records[14]
    tail_cache.stored(TASK, Fold(last.position + 1, 1, last.end, last.seq + 1, last.frame))
    assert not tail_cache.eviction_blocked
    assert tail_cache.size_bytes <= 8000
    assert tail_cache.eviction_candidates(5) == []
    ticket = tail_cache.ticket("vt_idle", PARTITION)
    assert ticket.low_watermark == 0, "the claim itself stays"
    assert tail_cache.seed("vt_idle", ticket, Fold())
    assert tail_cache.facts("vt_idle").claim == idle.value
    listed = Fold(last.position + 1, 1, last.end, last.seq + 1, last.frame)
    assert not tail_cache.seed(
        TASK, tail_cache.ticket(TASK, PARTITION)._replace(low_watermark=0), Fold()
    )
    assert seed(tail_cache, listed)
    log = bytes_of(records)
    start = view_of(tail_cache).start
    assert start == last.end, "what the listing holds is read there"
    assert read_all(tail_cache, start, 100) == log[start:]


def test_of_a_log_that_is_closed_in_s3_everything_may_leave() -> None:
    records = whole_log(6)
    zombie = msgspec.structs.replace(records[2], position=8)
    tail_cache = hub_with([*records, zombie], budget_bytes=1)
    tail_cache.stored(TASK, Fold(8, 0, records[-1].end, 7, 5, closed=True))
    assert tail_cache.size_bytes == 0


def test_those_that_were_asked_for_longest_ago_are_asked_for_next() -> None:
    tail_cache = TailCache(1)
    tail_cache.start(PARTITION, 0)
    small = whole_log(1, task="vt_small", closed=False)
    large = whole_log(3, position=2, task="vt_large", closed=False)
    tail_cache.feed(PARTITION, [*small, *large], 6)
    asked = [place.task for _ in range(4) for place in tail_cache.eviction_candidates(1)]
    assert asked == ["vt_large", "vt_small", "vt_large", "vt_small"]


def test_a_listing_for_a_task_that_was_forgotten_meanwhile_is_refused() -> None:
    """What it lost in between is forgotten with it: the listing may not show it."""
    tail_cache = TailCache(1, max_idle_tasks=1)
    tail_cache.start(PARTITION, 0)
    ticket = tail_cache.ticket(TASK, PARTITION)
    tail_cache.feed(PARTITION, whole_log(2, closed=False), 3)
    tail_cache.archived({PARTITION: 3})
    assert tail_cache.size_bytes == 0
    tail_cache.ticket("vt_2", PARTITION)
    assert not tail_cache.seed(TASK, ticket, Fold())
    listed = Fold(3, 0, whole_log(2)[2].end, 2, 1)
    assert tail_cache.seed(TASK, tail_cache.ticket(TASK, PARTITION), listed)


def test_a_value_that_left_is_held_by_nobody() -> None:
    records = whole_log(6, closed=False)
    tail_cache = hub_with(records, budget_bytes=1)
    seed(tail_cache)
    value = records[2].value
    del records
    before = sys.getrefcount(value)
    tail_cache.archived({PARTITION: 7})
    assert sys.getrefcount(value) < before


def test_an_endless_task_takes_no_more_memory_than_the_budget() -> None:
    """A day of it, at 2 frames a second, with what is archived known half a minute later."""
    tail_cache = TailCache(100_000)
    tail_cache.start(PARTITION, 0)
    tail_cache.feed(PARTITION, [record("claim", 0)], 1)
    assert seed(tail_cache)
    off, value, peaks = 0, b"x" * 600, [0, 0]
    for n in range(1, 172_801):
        one = record("chunk", n, seq=n - 1, off=off, value=value)
        off += len(value)
        tail_cache.feed(PARTITION, [one], n + 1)
        if n % 60 == 0:
            tail_cache.archived({PARTITION: n - 60})
        tail = tail_cache._tails[TASK]
        held = len(tail._accepted) + len(tail._records) + sys.getsizeof(tail_cache._asked)
        half = n > 86_400
        peaks[half] = max(peaks[half], tail_cache.size_bytes + held)
    assert view_of(tail_cache).end == off
    assert peaks[0] < 3 * 100_000
    assert peaks[1] <= peaks[0]
