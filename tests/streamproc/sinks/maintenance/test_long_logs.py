"""Logs of months: rebuilt, checked and compared in parts, with the same rows in the end."""

import tracemalloc
from collections.abc import Sequence

import msgspec
import pytest

from streamproc.contract.object_keys import request_key, segment_key
from streamproc.contract.records import ChunkRecord
from streamproc.contract.stored_request import StoredRequest, encode_stored_request
from streamproc.contract.tables import DETECTIONS, EMBEDDINGS, TASKS, TRACKS
from streamproc.contract.task_spec import LiveOptions
from streamproc.sinks.archive.actions import StoreAction, perform
from streamproc.sinks.archive.partition import Archiver
from streamproc.sinks.errors import ScratchFileError
from streamproc.sinks.index.tables import EVICT_AFTER_MS, IndexTables
from streamproc.sinks.index.task import IndexedTask, TaskRows
from streamproc.sinks.maintenance import rebuild as rebuilding
from streamproc.sinks.maintenance import reindex as reindexing
from streamproc.sinks.maintenance import scratch_file
from streamproc.sinks.maintenance.rebuild import rebuild
from streamproc.sinks.maintenance.reindex import reindex
from streamproc.sinks.maintenance.verify import verify
from tests.streamproc.sinks.index.test_live_tracks import (
    MINUTE_MS,
    LiveLog,
    Process,
    a_day,
    written,
)
from tests.streamproc.sinks.logs import PROJECT, MemoryObjects, Partition, submitted, task_id

FEW = {DETECTIONS: 10, TRACKS: 4, EMBEDDINGS: 3, TASKS: 1}


def archived(task: str, records: Sequence[ChunkRecord]) -> MemoryObjects:
    """Return a store with the records of a live task, in segments of half a minute or more."""
    store = MemoryObjects()
    one = submitted(task, live=LiveOptions())
    request = StoredRequest(
        task=task,
        project=PROJECT,
        partition=0,
        created_ms=one.created_ms,
        point=one.point,
        body={"input": []},
        body_sha256="0" * 64,
        spec=one.spec,
    )
    store.put(request_key(PROJECT, task), encode_stored_request(request))
    archiver, now_s = Archiver(0), 0.0
    for record in (*records, None):
        waiting = [*archiver.tick(now_s)]
        if record is not None:
            waiting += archiver.accept(record, now_s)
        while waiting:
            action = waiting.pop(0)
            assert isinstance(action, StoreAction)
            waiting += archiver.done(perform(store, action), now_s)
        now_s += 60
    return store


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    """Take few rows together: a log of a test is then a long one."""
    monkeypatch.setattr(rebuilding, "ROWS_AT_ONCE", FEW)
    monkeypatch.setattr("streamproc.sinks.maintenance.verify.ROWS_AT_ONCE", FEW)
    monkeypatch.setattr(reindexing, "_N_IN_MEMORY", 2)


@pytest.fixture
def day() -> tuple[LiveLog, list[ChunkRecord], MemoryObjects]:
    """A log with tracks that are seen again after they were forgotten, and its archive."""
    log, batches = a_day()
    records = [record for batch in batches for record in batch]
    return log, records, archived(log.task, records)


@pytest.mark.usefixtures("few")
def test_the_rows_are_those_of_a_fold_that_forgets_nothing(
    day: tuple[LiveLog, list[ChunkRecord], MemoryObjects],
) -> None:
    log, records, store = day
    fold = IndexedTask(PROJECT, log.task)
    fold.submit(submitted(log.task, live=LiveOptions()))
    for record in records:
        fold.accept(record)
    expected, parts = fold.take_rows(), list(rebuild(store, PROJECT, log.task))
    assert len(parts) > 20
    found = TaskRows([], [], [], [])
    for part in parts:
        found.detections.extend(part.detections)
        found.embeddings.extend(part.embeddings)
        found.tracks.extend(part.tracks)
        found.tasks.extend(part.tasks)
    assert found.tracks == expected.tracks
    assert found.detections == expected.detections
    assert sorted(found.embeddings, key=lambda row: row.track_id) == sorted(
        expected.embeddings, key=lambda row: row.track_id
    )
    assert [row.log_length for row in found.tasks] == [row.log_length for row in expected.tasks]


@pytest.mark.usefixtures("few")
def test_reindex_writes_what_the_index_wrote_and_verify_agrees(
    tables: IndexTables, day: tuple[LiveLog, list[ChunkRecord], MemoryObjects]
) -> None:
    log, records, store = day
    Process(tables, log.task).batch(records)
    before = written(tables)
    assert list(verify(store, tables)) == []
    tables.truncate()
    assert reindex(store, tables).damaged == {}
    after = written(tables)
    for table in (TRACKS, EMBEDDINGS):
        assert after[table] == before[table]
    assert len(after[DETECTIONS]) == len(before[DETECTIONS])
    assert list(verify(store, tables)) == []


@pytest.mark.usefixtures("few")
@pytest.mark.parametrize("table", [TRACKS, DETECTIONS, EMBEDDINGS])
def test_a_row_that_is_missing_or_wrong_is_found_behind_the_first_page(
    tables: IndexTables, day: tuple[LiveLog, list[ChunkRecord], MemoryObjects], table: str
) -> None:
    log, records, store = day
    Process(tables, log.task).batch(records)
    kept = {name: tables.select(name) for name in (TASKS, TRACKS, DETECTIONS, EMBEDDINGS)}
    tables.truncate()
    *_, second, last = kept[table]
    kept[table].remove(second)
    kept[table][-1] = (
        msgspec.structs.replace(last, confidence=0.125)
        if table != TRACKS
        else (msgspec.structs.replace(last, frames_seen=99))
    )
    for name, rows in kept.items():
        tables.insert(name, rows, salt="again")
    (finding,) = verify(store, tables)
    assert (finding.task, finding.where) == (log.task, table)
    assert finding.what == "2 rows are missing or differ, 1 rows do not belong there"


@pytest.mark.usefixtures("few")
def test_nothing_is_written_of_a_long_log_that_is_damaged_at_its_end(
    tables: IndexTables, day: tuple[LiveLog, list[ChunkRecord], MemoryObjects]
) -> None:
    log, _, store = day
    key = max(key for key in store.stored if key.startswith(f"{PROJECT}/{log.task}/seg/"))
    assert key > segment_key(PROJECT, log.task, 0)
    body, metadata = store.stored[key]
    store.stored[key] = (body.replace(b"pedestrian", b"pedestriaN", 1), metadata)
    assert list(reindex(store, tables).damaged) == [log.task]
    assert not any(written(tables).values())


def a_log(n_chunks: int) -> MemoryObjects:
    """Return the archive of a live log; each track is seen in two chunks, of a minute each."""
    log, partition = LiveLog(task_id(1)), Partition()
    partition.write(log.claim())
    for n in range(n_chunks):
        partition.write(log.see(n * MINUTE_MS, *range(5 * n, 5 * n + 10)))
    return archived(log.task, partition.records)


def peak_bytes(store: MemoryObjects) -> int:
    """Return the most memory that the rows of its task take while they are made."""
    tracemalloc.start()
    try:
        for _ in rebuild(store, PROJECT, task_id(1)):
            pass
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_memory_does_not_grow_with_the_length_of_a_log(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The lists of rows are shorter than in the product, so that the logs can be."""
    monkeypatch.setattr(rebuilding, "ROWS_AT_ONCE", {name: 50 * n for name, n in FEW.items()})
    n_chunks = 10 * EVICT_AFTER_MS // MINUTE_MS
    short, long = (peak_bytes(a_log(length)) for length in (n_chunks, 4 * n_chunks))
    assert long < 1.3 * short, (short, long)


def test_a_full_disk_is_no_damage_of_a_task(
    tables: IndexTables,
    day: tuple[LiveLog, list[ChunkRecord], MemoryObjects],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A file of so few pages is full as a disk is: SQLite says the same."""
    full = ("PRAGMA page_size = 512", "PRAGMA max_page_count = 4")
    monkeypatch.setattr(scratch_file, "_NOT_DURABLE", full)
    _, _, store = day
    with pytest.raises(ScratchFileError, match="full"):
        list(verify(store, tables))
    with pytest.raises(ScratchFileError, match="full"):
        reindex(store, tables)
