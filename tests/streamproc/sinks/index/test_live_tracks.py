"""Live tasks without an end: few tracks in memory, the same rows; partitions and age by capture."""

from collections.abc import Sequence

import msgspec
import pytest

from streamproc.clients.clickhouse import ClientFactory
from streamproc.contract.records import ChunkRecord, TrackVector
from streamproc.contract.tables import DETECTIONS, EMBEDDINGS, TASKS, TRACKS
from streamproc.contract.task_spec import LiveOptions
from streamproc.contract.timestamps import rfc3339
from streamproc.sinks.index.indexer import Indexer
from streamproc.sinks.index.tables import EVICT_AFTER_MS, IndexTables
from tests.streamproc.sinks.logs import (
    PROJECT,
    LogBuilder,
    Partition,
    submitted,
    target,
    task_id,
    unit,
)

START_MS = 1_790_000_000_000
MINUTE_MS = 60_000


class LiveLog(LogBuilder):
    """A camera's log: a chunk of these tracks at this time after the start."""

    def see(self, at_ms: int, *ids: int, confidence: float = 0.5) -> ChunkRecord:
        targets = [
            target(
                one, confidence=confidence, text="AB", text_confidence=0.5, feature_digest=f"d{one}"
            )
            for one in ids
        ]
        vectors = [TrackVector(one, confidence, unit(one, 1)) for one in ids]
        at = rfc3339(START_MS + at_ms)
        return self.chunk(*targets, vectors=vectors, captured_at=at, time_s=at_ms / 1000)


class Process:
    """An index process over real tables, a batch at a time."""

    def __init__(self, tables: IndexTables, task: str, days: int | None = None) -> None:
        self.tables, self.task = tables, task
        self.indexer = Indexer()
        self.n_restored = 0
        found = tables.recover([task])
        self.indexer.recover(task, PROJECT, 0, found.get(task))
        self.indexer.submit(submitted(task, live=LiveOptions(retention_days=days)))

    def batch(self, records: Sequence[ChunkRecord]) -> None:
        for record in records:
            if ids := self.indexer.evicted(record):
                self.n_restored += len(ids)
                self.indexer.restore(record.task, *self.tables.tracks(record.task, ids))
            assert self.indexer.take(0, record) is None
        for table, part in self.indexer.rows().by_table():
            self.tables.insert(table, part)
        self.indexer.written()

    @property
    def in_memory(self) -> set[int]:
        return set(self.indexer._tasks[self.task].tracks)


def written(tables: IndexTables) -> dict[str, list[bytes]]:
    return {
        table: sorted(msgspec.json.encode(row) for row in tables.select(table))
        for table in (TASKS, TRACKS, DETECTIONS, EMBEDDINGS)
    }


def a_day() -> tuple[LiveLog, list[list[ChunkRecord]]]:
    """Return a log whose tracks come and go; one is seen again later, better and then worse."""
    log, partition = LiveLog(task_id(1)), Partition()
    partition.write(log.claim())
    batches = []
    for n in range(40):
        first = len(partition.records) if n else 0
        partition.write(log.see(n * MINUTE_MS, n, n + 1, n + 2))
        if n in {20, 33}:
            partition.write(log.see(n * MINUTE_MS + 500, 3, n + 3, confidence=0.8 - n / 100))
        batches.append(partition.records[first:])
    return log, batches


def fewer(batches: Sequence[list[ChunkRecord]]) -> list[list[ChunkRecord]]:
    """Return the same records in batches five times as long: each costs four inserts."""
    starts = range(0, len(batches), 5)
    return [[record for batch in batches[n : n + 5] for record in batch] for n in starts]


def test_evicted_tracks_have_the_same_rows_when_they_are_seen_again(
    tables: IndexTables, connect: ClientFactory
) -> None:
    log, batches = a_day()
    alone = Process(tables, log.task)
    alone.batch([record for batch in batches for record in batch])  # nothing is evicted before
    expected = written(tables)
    assert len(tables.select(TRACKS)) == 42
    tables.truncate()
    process = Process(tables, log.task)
    most = 0
    for batch in batches:
        process.batch(batch)
        most = max(most, len(process.in_memory))
    assert most <= EVICT_AFTER_MS // MINUTE_MS + 6
    assert process.n_restored == 2
    assert written(tables) == expected


@pytest.mark.parametrize("at", [5, 19, 20, 34])
def test_a_restart_loads_the_tracks_that_were_seen_last_and_goes_on_alike(
    tables: IndexTables, at: int
) -> None:
    log, batches = a_day()
    Process(tables, log.task).batch([record for batch in batches for record in batch])
    expected = written(tables)
    tables.truncate()
    before = Process(tables, log.task)
    for batch in [*fewer(batches[: at - 1]), batches[at - 1]]:
        before.batch(batch)
    after = Process(tables, log.task)
    assert after.in_memory == before.in_memory
    for batch in [batches[at - 1], *fewer(batches[at:])]:  # one again: it was not committed
        after.batch(batch)
    assert written(tables) == expected


def test_a_batch_that_reached_some_tables_counts_once(tables: IndexTables) -> None:
    log, batches = a_day()
    Process(tables, log.task).batch([record for batch in batches for record in batch])
    expected = written(tables)
    tables.truncate()
    process = Process(tables, log.task)
    for batch in fewer(batches[:30]):
        process.batch(batch)
    dying = Process(tables, log.task)
    for record in [record for batch in batches[30:35] for record in batch]:
        if ids := dying.indexer.evicted(record):
            dying.indexer.restore(record.task, *tables.tracks(record.task, ids))
        dying.indexer.take(0, record)
    for table, part in dying.indexer.rows().by_table()[:3]:  # all but the task's row
        tables.insert(table, part)
    after = Process(tables, log.task)
    for batch in fewer(batches[30:]):
        after.batch(batch)
    assert written(tables) == expected


def test_a_new_track_costs_no_request_but_a_low_id_does(tables: IndexTables) -> None:
    log, batches = a_day()
    process = Process(tables, log.task)
    for batch in fewer(batches):
        process.batch(batch)
    partition = Partition()
    partition.records = [record for batch in batches for record in batch]
    partition._epochs[log.task] = 0
    assert process.indexer.evicted(partition.write(log.see(41 * MINUTE_MS, 1000))) == []
    assert process.indexer.evicted(partition.records[5]) == []  # a duplicate
    process.batch(partition.records[-1:])
    assert process.indexer.evicted(partition.write(log.see(42 * MINUTE_MS, 5))) == [5]


def test_a_file_tasks_tracks_stay_in_memory(tables: IndexTables) -> None:
    log, partition = LogBuilder(task_id(1)), Partition()
    partition.write(log.claim())
    for n in range(60):
        partition.write(log.chunk(target(n), frame=n * 10_000))
    process = Process(tables, log.task)
    for batch in fewer([[record] for record in partition.records]):
        process.batch(batch)
    assert len(process.in_memory) == 60


def test_rows_are_in_the_month_of_the_capture(tables: IndexTables) -> None:
    log, partition = LiveLog(task_id(1)), Partition()
    month_ms = 31 * 86_400_000
    partition.write_all(log.claim(), log.see(0, 1), log.see(month_ms, 1, 2, confidence=0.9))
    process = Process(tables, log.task)
    for record in partition.records:
        process.batch([record])
    (task,) = tables.select(TASKS)
    assert task.month == 202511
    assert [row.month for row in tables.select(DETECTIONS)] == [202609, 202610, 202610]
    assert [row.month for row in tables.select(TRACKS)] == [202609, 202610]  # of the first sighting
    embeddings = tables.select(EMBEDDINGS)
    assert [(row.track_id, row.month) for row in embeddings] == [(1, 202609), (2, 202610)]


@pytest.mark.parametrize(
    ("setting", "own", "left"), [(30, None, 1), (0, None, 2), (30, 0, 2), (0, 10, 1), (400, 20, 1)]
)
def test_rows_of_live_tasks_expire_by_capture(
    connect: ClientFactory, tables: IndexTables, setting: int, own: int | None, left: int
) -> None:
    client = connect()
    now_ms = client.query("SELECT toUnixTimestamp64Milli(now64(3))").result_rows[0][0]
    log, partition = LiveLog(task_id(1)), Partition()
    old_ms = now_ms - START_MS - 60 * 86_400_000
    partition.write_all(log.claim(), log.see(old_ms, 1), log.see(now_ms - START_MS, 2))
    file, other = LogBuilder(task_id(2)), Partition()
    other.write_all(file.claim(), file.chunk(target(7)))
    keeping = IndexTables(connect, keep_days=setting)
    keeping.prepare()
    process = Process(keeping, log.task, own)
    process.batch(partition.records)
    of_file = Process(keeping, file.task, own)
    of_file.batch(other.records)
    for table in (DETECTIONS, TRACKS, EMBEDDINGS):
        client.command(f"OPTIMIZE TABLE {table} FINAL")
        rows = keeping.select(table, [log.task])
        assert [row.track_id for row in rows] == [1, 2][-left:], table
    assert len(keeping.select(DETECTIONS, [file.task])) == 1
    assert len(keeping.select(TASKS)) == 2
    keeping.close()
    client.close()
