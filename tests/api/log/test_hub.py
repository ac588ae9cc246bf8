"""The hub's rules one by one; the machine next door proves them together."""

import sys

import msgspec
import pytest

from api.log.hub import Hub, TaskPlace
from api.log.tail import TailView
from streamproc.contract.fold import Fold
from streamproc.contract.records import ChunkRecord
from tests.api.log.builders import PROJECT, TASK, bytes_of, record, whole_log

PARTITION = 3


def hub_with(records: list[ChunkRecord], *, budget_bytes: int = 1 << 20) -> Hub:
    hub = Hub(budget_bytes)
    hub.start(PARTITION, 0)
    hub.feed(PARTITION, records, len(records))
    return hub


def seed(hub: Hub, fold: Fold | None = None, *, task: str = TASK) -> bool:
    return hub.seed(task, hub.ticket(task, PARTITION), fold or Fold())


def read_all(hub: Hub, offset: int, limit_bytes: int) -> bytes:
    got = b""
    while offset + len(got) < hub.view(TASK).end:
        got += hub.read(TASK, offset + len(got), limit_bytes)
    return got


def test_a_task_is_unread_until_it_is_seeded() -> None:
    hub = hub_with(whole_log(3))
    assert hub.view(TASK) is None
    with pytest.raises(KeyError):
        hub.read(TASK, 0, 10)
    assert seed(hub)
    log = bytes_of(whole_log(3))
    assert hub.view(TASK) == TailView(0, len(log), closed=True, n_records=4)


@pytest.mark.parametrize("limit_bytes", [1, 100, 700, 10_000])
def test_any_offset_gives_the_suffix(limit_bytes: int) -> None:
    hub = hub_with(whole_log(3))
    seed(hub)
    log = bytes_of(whole_log(3))
    for offset in range(len(log)):
        assert read_all(hub, offset, limit_bytes) == log[offset:]


def test_a_piece_is_shared_not_copied() -> None:
    records = whole_log(2)
    hub = hub_with(records)
    seed(hub)
    assert hub.read(TASK, 0, 10) is records[1].value


def test_a_batch_names_the_tasks_it_touched_and_is_taken_once() -> None:
    hub = hub_with([])
    records = [*whole_log(1, closed=False), record("claim", 2, task="vt_2")]
    assert hub.feed(PARTITION, records, 3) == {TASK, "vt_2"}
    size_bytes = hub.size_bytes
    assert hub.feed(PARTITION, records, 3) == set()
    assert hub.size_bytes == size_bytes
    assert hub.position(PARTITION) == 3


def test_position_passes_what_is_no_record() -> None:
    hub = hub_with([])
    hub.feed(PARTITION, [], 17)
    assert hub.position(PARTITION) == 17


def test_only_what_is_archived_leaves_and_oldest_first() -> None:
    records = whole_log(6, closed=False)
    hub = hub_with(records, budget_bytes=1)
    seed(hub)
    assert hub.view(TASK).start == 0, "nothing is archived yet"
    assert hub.saturated
    hub.archived({PARTITION: 3})  # the claim and two chunks
    assert hub.view(TASK).start == records[2].end
    assert hub.ticket(TASK, PARTITION).floor == 3
    log = bytes_of(records)
    assert read_all(hub, records[2].end, 100) == log[records[2].end :]
    hub.archived({PARTITION: 7})
    assert hub.view(TASK) == TailView(len(log), len(log), closed=False, n_records=6)
    assert hub.size_bytes == 0


def test_nothing_leaves_within_the_budget() -> None:
    hub = hub_with(whole_log(6))
    hub.archived({PARTITION: 8})
    assert hub.view(TASK) is None
    assert hub.ticket(TASK, PARTITION).floor == 0


def test_a_seed_is_refused_when_the_ring_lost_what_the_listing_may_lack() -> None:
    records = whole_log(6)
    hub = hub_with(records, budget_bytes=1)
    ticket = hub.ticket(TASK, PARTITION)
    hub.archived({PARTITION: 4})
    assert not hub.seed(TASK, ticket, Fold())
    listed = Fold(position=4, epoch=0, next_off=records[3].end, next_seq=3, last_frame=2)
    assert hub.seed(TASK, ticket, listed), "the listing holds all that left"
    assert hub.view(TASK).start == records[3].end


def test_a_listing_after_the_ticket_needs_no_more_than_the_ticket() -> None:
    """What left the ring before the listing may all have been dropped by the fold."""
    records = whole_log(2, closed=False)
    stale = [msgspec.structs.replace(records[1], position=3 + n) for n in range(3)]
    hub = hub_with([*records, *stale], budget_bytes=1)
    hub.archived({PARTITION: 6})
    listed = Fold(position=3, epoch=0, next_off=records[2].end, next_seq=2, last_frame=1)
    assert hub.ticket(TASK, PARTITION).floor == 6
    assert seed(hub, listed)


def test_a_gap_unseeds_once_then_is_known_to_be_in_the_log() -> None:
    records = whole_log(4, closed=False)
    hub = hub_with(records[:2])
    seed(hub)
    lost = [msgspec.structs.replace(found, position=found.position - 1) for found in records[3:]]
    hub.feed(PARTITION, lost[:1], 3)
    assert hub.view(TASK) is None
    assert hub.n_gaps == 1
    assert seed(hub)
    assert hub.view(TASK).end == records[1].end
    hub.feed(PARTITION, lost[1:], 4)
    assert hub.view(TASK) is not None, "the same gap is not read again and again"
    claim = record("claim", 4)
    healed = msgspec.structs.replace(records[2], position=5, epoch=4)
    hub.feed(PARTITION, [claim, healed], 6)
    assert hub.view(TASK).end == records[2].end


def test_a_zombies_bytes_are_not_read() -> None:
    first = whole_log(2, closed=False)
    zombie = whole_log(4, closed=False)[3]
    hub = hub_with([*first, record("claim", 3), msgspec.structs.replace(zombie, position=4)])
    seed(hub)
    assert read_all(hub, 0, 10_000) == bytes_of(first)


def test_cargo_of_workers_and_index_is_not_kept() -> None:
    heavy = [
        msgspec.structs.replace(found, ckpt=b"c" * 5000, vectors=b"v" * 5000, pin=b"p")
        for found in whole_log(2)
    ]
    assert hub_with(heavy).size_bytes == hub_with(whole_log(2)).size_bytes


def test_facts_come_from_claims_and_records() -> None:
    hub = hub_with(whole_log(2))
    seed(hub)
    facts = hub.facts(TASK)
    assert (facts.started_ms, facts.finished_ms) == (1000, 1003)
    assert facts.claim == whole_log(2)[0].value
    assert facts.first == whole_log(2)[1].value
    assert facts.last == whole_log(2)[3].value


def test_tasks_that_nobody_needs_are_forgotten_and_watched_ones_are_kept() -> None:
    hub = Hub(1 << 20, max_idle_tasks=2)
    hub.start(PARTITION, 0)
    hub.watch("watched", PARTITION)
    seed(hub, task="watched")
    for n in range(5):
        seed(hub, task=f"idle{n}")
    assert hub.view("watched") is not None
    assert [n for n in range(5) if hub.view(f"idle{n}") is not None] == [3, 4]
    hub.unwatch("watched")
    assert hub.view("watched") is not None
    assert hub.view("idle3") is None


def test_a_claim_that_nothing_follows_holds_nobody_else_up() -> None:
    idle = record("claim", 0, task="vt_idle")
    records = whole_log(20, position=1, closed=False)
    hub = Hub(8000)
    hub.start(PARTITION, 0)
    hub.feed(PARTITION, [idle, *records], 22)
    assert hub.is_stuck
    assert hub.saturated
    hub.archived({PARTITION: 0})  # the commit waits for the idle claim
    assert hub.saturated
    assert hub.unproven(5) == [TaskPlace(PROJECT, TASK, PARTITION)]
    last = records[14]
    hub.stored(TASK, Fold(last.position + 1, 1, last.end, last.seq + 1, last.frame))
    assert not hub.is_stuck
    assert hub.size_bytes <= 8000
    assert hub.unproven(5) == []
    ticket = hub.ticket("vt_idle", PARTITION)
    assert ticket.floor == 0, "the claim itself stays"
    assert hub.seed("vt_idle", ticket, Fold())
    assert hub.facts("vt_idle").claim == idle.value
    listed = Fold(last.position + 1, 1, last.end, last.seq + 1, last.frame)
    assert not hub.seed(TASK, hub.ticket(TASK, PARTITION)._replace(floor=0), Fold())
    assert seed(hub, listed)
    log = bytes_of(records)
    start = hub.view(TASK).start
    assert start == last.end, "what the listing holds is read there"
    assert read_all(hub, start, 100) == log[start:]


def test_of_a_log_that_is_closed_in_s3_everything_may_leave() -> None:
    records = whole_log(6)
    zombie = msgspec.structs.replace(records[2], position=8)
    hub = hub_with([*records, zombie], budget_bytes=1)
    hub.stored(TASK, Fold(8, 0, records[-1].end, 7, 5, closed=True))
    assert hub.size_bytes == 0


def test_those_that_were_asked_for_longest_ago_are_asked_for_next() -> None:
    hub = Hub(1)
    hub.start(PARTITION, 0)
    small = whole_log(1, task="vt_small", closed=False)
    large = whole_log(3, position=2, task="vt_large", closed=False)
    hub.feed(PARTITION, [*small, *large], 6)
    asked = [place.task for _ in range(4) for place in hub.unproven(1)]
    assert asked == ["vt_large", "vt_small", "vt_large", "vt_small"]


def test_a_listing_for_a_task_that_was_forgotten_meanwhile_is_refused() -> None:
    """What it lost in between is forgotten with it: the listing may not show it."""
    hub = Hub(1, max_idle_tasks=1)
    hub.start(PARTITION, 0)
    ticket = hub.ticket(TASK, PARTITION)
    hub.feed(PARTITION, whole_log(2, closed=False), 3)
    hub.archived({PARTITION: 3})
    assert hub.size_bytes == 0
    hub.ticket("vt_2", PARTITION)
    assert not hub.seed(TASK, ticket, Fold())
    listed = Fold(3, 0, whole_log(2)[2].end, 2, 1)
    assert hub.seed(TASK, hub.ticket(TASK, PARTITION), listed)


def test_a_value_that_left_is_held_by_nobody() -> None:
    records = whole_log(6, closed=False)
    hub = hub_with(records, budget_bytes=1)
    seed(hub)
    value = records[2].value
    del records
    before = sys.getrefcount(value)
    hub.archived({PARTITION: 7})
    assert sys.getrefcount(value) < before
