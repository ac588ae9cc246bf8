"""Random runs of several archivers on one partition: S3 ends up as the fold, whatever happens."""

import hashlib
import random
from collections.abc import Sequence

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streamproc.clients.object_store import Objects
from streamproc.contract.fold import Fold, Verdict, step
from streamproc.contract.object_keys import Final, final_key, vectors_key
from streamproc.contract.records import Attempt, ChunkRecord, TrackVector
from streamproc.sinks.archive.actions import (
    Action,
    GiveUp,
    Seek,
    StoreAction,
    decode_entries,
    perform,
    segment_info,
)
from streamproc.sinks.archive.partition import Archiver
from streamproc.sinks.archive.segments import segments

from .logs import PROJECT, LogBuilder, MemoryObjects, Partition, target, task_id, unit

N_TASKS = 3


class Process:
    """One archive process: reads from the commit on; its actions wait until the run picks one."""

    def __init__(self, partition: Partition, committed: int, store: Objects) -> None:
        self.archiver = Archiver(committed)
        self.partition = partition
        self.store = store
        self.position = committed
        self.waiting: list[StoreAction] = []

    def take(self, actions: Sequence[Action]) -> None:
        for action in actions:
            assert not isinstance(action, GiveUp), action
            if isinstance(action, Seek):
                self.position = action.position
            else:
                assert action.task not in {other.task for other in self.waiting}
                self.waiting.append(action)

    def read(self, now_s: float) -> None:
        if self.position < len(self.partition.records):
            record = self.partition.records[self.position]
            self.position += 1
            self.take(self.archiver.accept(record, now_s))

    def work(self, which: int, now_s: float) -> None:
        if self.waiting:
            action = self.waiting.pop(which % len(self.waiting))
            self.take(self.archiver.done(perform(self.store, action), now_s))

    def finish(self, now_s: float) -> None:
        while True:
            self.take(self.archiver.flush(now_s))
            if self.waiting:
                self.work(0, now_s)
            elif self.position < len(self.partition.records):
                self.read(now_s)
            else:
                return


def random_partition(rng: random.Random, *, closed: bool) -> tuple[Partition, list[LogBuilder]]:
    """Tasks written by honest workers, with retries of sends, and by zombies of older epochs."""
    partition = Partition()
    logs = [LogBuilder(task_id(n)) for n in range(N_TASKS)]
    zombies: list[tuple[ChunkRecord, int]] = []
    for log in logs:
        partition.write(log.claim())
    for _ in range(rng.randrange(5, 40)):
        log = rng.choice(logs)
        roll = rng.random()
        if roll < 0.15:
            partition.write(log.claim())
        elif roll < 0.30 and zombies:
            record, epoch = rng.choice(zombies)
            partition.write(record, epoch=epoch)
        elif roll < 0.40 and zombies:
            _fork(rng, partition, log)
        else:
            vectors = [TrackVector(1, rng.random(), unit(1.0))] if rng.random() < 0.4 else []
            written = partition.write(log.chunk(target(), vectors=vectors))
            zombies.append((written, written.epoch))
    for log in logs:
        if closed or rng.random() < 0.5:
            partition.write(log.terminal())
            if zombies:
                record, epoch = rng.choice(zombies)
                partition.write(record, epoch=epoch)
    return partition, logs


def _fork(rng: random.Random, partition: Partition, log: LogBuilder) -> None:
    """A zombie goes on at the log's true end, with bytes of its own, under an old epoch."""
    claims = [r.position for r in partition.records if r.task == log.task and r.kind == "claim"]
    partition.write(log.claim())
    zombie = LogBuilder(log.task)
    zombie.end, zombie.frame = log.end, log.frame + rng.randrange(1, 9)
    partition.write(zombie.chunk(target(99), target(98)), epoch=claims[-1])


def folded(records: list[ChunkRecord]) -> dict[str, tuple[Fold, bytes]]:
    states: dict[str, tuple[Fold, bytes]] = {}
    for record in records:
        fold, log = states.get(record.task, (Fold(), b""))
        fold, verdict = step(fold, record)
        states[record.task] = (fold, log + record.value * (verdict is Verdict.ACCEPTED))
    return states


def archived(store: MemoryObjects, task: str) -> bytes:
    return b"".join(store.get(key) or b"" for key, _, _ in segments(store, PROJECT, task))


def check_commit(partition: Partition, committed: int, store: MemoryObjects) -> None:
    """A reader that starts at the commit, with S3, comes to the fold of the whole partition."""
    for task, (truth, log) in folded(partition.records).items():
        held = archived(store, task)
        assert log.startswith(held)
        fold = Fold()
        for key, _, end in segments(store, PROJECT, task):
            head = store.head(key)
            assert head is not None
            info = segment_info(head)
            fold = Fold(info.next_position, info.epoch, end, info.next_seq, info.last_frame)
            if info.closed:
                fold = msgspec.structs.replace(fold, closed=True)
        for record in partition.records[committed:]:
            if record.task == task:
                fold, verdict = step(fold, record)
                assert verdict is not Verdict.GAP
                held += record.value * (verdict is Verdict.ACCEPTED)
        assert held == log
        assert fold.closed == truth.closed


@settings(max_examples=300, deadline=None)
@given(seed=st.integers(0, 2**32))
def test_any_race_of_archivers_leaves_the_fold_in_s3(seed: int) -> None:
    rng = random.Random(seed)
    partition, _ = random_partition(rng, closed=rng.random() < 0.5)
    store = MemoryObjects()
    committed, now_s = 0, 0.0
    alive = [Process(partition, 0, store)]
    for _ in range(rng.randrange(10, 200)):
        process = rng.choice(alive)
        roll = rng.random()
        now_s += rng.random() * 0.4
        if roll < 0.45:
            process.read(now_s)
        elif roll < 0.80:
            process.work(rng.randrange(100), now_s)
        elif roll < 0.90:
            process.take(process.archiver.tick(now_s))
        elif roll < 0.95:
            committed = max(committed, process.archiver.committable())
            check_commit(partition, committed, store)
        elif len(alive) < 3:  # a rebalance: the old process does not know yet
            alive.append(Process(partition, committed, store))
        else:
            alive.pop(rng.randrange(len(alive)))
    last = Process(partition, committed, store)
    last.finish(now_s)
    committed = max(committed, last.archiver.committable())
    check_commit(partition, committed, store)
    for task, (truth, log) in folded(partition.records).items():
        assert archived(store, task) == log
        assert_vectors(store, partition, task, len(log))
        final = store.get(final_key(PROJECT, task))
        assert (final is not None) == truth.closed
        if final is not None:
            said = msgspec.json.decode(final, type=Final)
            assert (said.length, said.sha256) == (len(log), hashlib.sha256(log).hexdigest())
            assert (said.status, said.provider) == ("succeeded", "local")


def assert_vectors(store: MemoryObjects, partition: Partition, task: str, length: int) -> None:
    """The sidecars of the segments hold the vectors of exactly the accepted records."""
    fold, wanted = Fold(), {}
    for record in partition.records:
        if record.task == task:
            fold, verdict = step(fold, record)
            if verdict is Verdict.ACCEPTED and record.vectors:
                wanted[record.end] = record.vectors
    found = {}
    for _, start, _ in segments(store, PROJECT, task):
        for entry in decode_entries(store.get(vectors_key(PROJECT, task, start)) or b"\x90"):
            found[entry.end] = entry.vectors
    assert {end: found[end] for end in found if end <= length} == wanted


@pytest.mark.parametrize("n_before", [1, 3])
def test_a_claim_without_a_stored_chunk_holds_the_commit(n_before: int) -> None:
    partition, store = Partition(), MemoryObjects()
    log = LogBuilder(task_id(1))
    partition.write(log.claim())
    partition.write_all(*(log.chunk(target()) for _ in range(n_before)))
    claim = partition.write(log.claim())
    process = Process(partition, 0, store)
    process.finish(0.0)
    assert archived(store, log.task) == log.log
    assert process.archiver.committable() == claim.position
    partition.write(log.chunk(target()))
    process.finish(1.0)
    assert process.archiver.committable() == len(partition.records)


def test_of_claims_in_a_row_the_newest_holds_the_commit() -> None:
    """A camera that is away: its worker claims it every ten seconds, and writes nothing."""
    partition, store, log = Partition(), MemoryObjects(), LogBuilder(task_id(1))
    partition.write(log.claim())
    stale = partition.write(log.chunk(target()))
    process = Process(partition, 0, store)
    process.finish(0.0)
    for _ in range(100):
        newest = partition.write(log.claim())
        process.finish(1.0)
        assert process.archiver.committable() == newest.position
        check_commit(partition, newest.position, store)
    zombie = LogBuilder(log.task)
    zombie.end, zombie.frame = log.end, log.frame
    partition.write(zombie.chunk(target(99)), epoch=stale.epoch)
    process.finish(2.0)
    check_commit(partition, process.archiver.committable(), store)
    partition.write(log.chunk(target()))
    process.finish(3.0)
    assert archived(store, log.task) == log.log


def test_a_closed_log_without_final_is_finished_by_the_next_archiver() -> None:
    partition, store = Partition(), MemoryObjects()
    log = LogBuilder(task_id(1))
    partition.write_all(log.claim(), log.chunk(target()), log.terminal(time_ms=1_900_000_000_000))
    first = Process(partition, 0, store)
    first.finish(0.0)
    committed_without = 2  # the terminal's own position: final.json was not there
    del store.stored[final_key(PROJECT, log.task)]
    second = Process(partition, committed_without, store)
    second.finish(0.0)
    final = msgspec.json.decode(store.stored[final_key(PROJECT, log.task)][0], type=Final)
    assert final.sha256 == hashlib.sha256(log.log).hexdigest()
    assert final.finished_ms == 1_900_000_000_000
    assert second.archiver.committable() == 3


def test_the_commit_waits_for_final_json() -> None:
    partition, store = Partition(), MemoryObjects()
    log = LogBuilder(task_id(1))
    partition.write_all(log.claim(), log.chunk(target()), log.terminal())
    process = Process(partition, 0, store)
    for _ in range(3):
        process.read(0.0)
    while final_key(PROJECT, log.task) not in store.stored:
        assert process.archiver.committable() <= 2
        process.work(0, 0.0)
    assert process.archiver.committable() == 3


def test_the_providers_that_failed_are_in_the_final_also_after_a_restart() -> None:
    """The claim that names them lies before what the second process still has to read."""
    failed = (Attempt("cloud", "upstream_refused", "the upstream answered with status 401"),)
    partition, store, log = Partition(), MemoryObjects(), LogBuilder(task_id(0))
    partition.write(log.claim(attempts=failed))
    partition.write(log.chunk(target()))
    Process(partition, 0, store).finish(0.0)
    partition.write(log.terminal())
    Process(partition, 2, store).finish(0.0)
    final = msgspec.json.decode(store.get(final_key(PROJECT, log.task)) or b"", type=Final)
    assert final.attempts == failed


@pytest.mark.parametrize(("stated_ms", "started_ms"), [(1_000, 1_000), (0, 5_000), (9_000, 5_000)])
def test_a_task_that_was_claimed_twice_before_its_first_byte_keeps_its_start(
    stated_ms: int, started_ms: int
) -> None:
    """The first claim lies before what the second process reads; older workers did not state it."""
    partition, store, log = Partition(), MemoryObjects(), LogBuilder(task_id(1))
    partition.write(log.claim(time_ms=1_000))
    newest = partition.write(log.claim(time_ms=5_000, started_ms=stated_ms))
    first = Process(partition, 0, store)
    first.finish(0.0)
    assert first.archiver.committable() == newest.position
    partition.write_all(log.chunk(target(), time_ms=6_000), log.terminal(time_ms=7_000))
    Process(partition, newest.position, store).finish(0.0)
    final = msgspec.json.decode(store.get(final_key(PROJECT, log.task)) or b"", type=Final)
    assert final.started_ms == started_ms
