"""Rows of the index on a real chDB: right for known data, the same for every way to get there."""

import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streamproc.clients.clickhouse import ClientFactory
from streamproc.contract.bounds import MAX_COUNT, MAX_REASONS
from streamproc.contract.chunk import FinishReason, Roi, Target
from streamproc.contract.framing import frame_event
from streamproc.contract.records import ChunkRecord, Submitted, TrackVector
from streamproc.contract.tables import (
    DETECTIONS,
    EMBEDDINGS,
    TABLES,
    TASKS,
    TRACKS,
    V_DETECTIONS,
    V_TASKS,
    V_TRACKS,
    TrackRow,
    created_ms_of,
    month_of,
)
from streamproc.contract.task_spec import SourceRef
from streamproc.contract.timestamps import rfc3339
from streamproc.sinks.archive.actions import edge_events
from streamproc.sinks.index.indexer import Gap, Indexer
from streamproc.sinks.index.tables import Embedded, IndexTables, Recovered, ensure_schema
from streamproc.sinks.index.task import IndexedTask, TaskRows, source_host, summarise
from streamproc.sinks.index.track_rows import normalised
from tests.id_first import frame_id_first
from tests.streamproc.sinks.logs import (
    FPS,
    PROJECT,
    TOTAL_FRAMES,
    LogBuilder,
    Partition,
    submitted,
    target,
    task_id,
    unit,
)

CHUNK_MS = 1_800_000_000_000
_MANY = {f"reason {n}": n for n in range(99)}


def feed(tables: IndexTables, partition: Partition, submissions: list[Submitted]) -> None:
    """Index everything in one batch of a fresh process."""
    indexer = Indexer()
    found = tables.recover([one.task for one in submissions])
    for one in submissions:
        indexer.recover(one.task, one.project, 0, found.get(one.task))
        indexer.submit(one)
    for record in partition.records:
        assert indexer.take(0, record) is None
    write(tables, indexer.rows())


def write(tables: "IndexTables | MemoryTables", rows: TaskRows) -> None:
    for table, part in rows.by_table():
        tables.insert(table, part)


def test_a_log_becomes_rows(tables: IndexTables) -> None:
    partition, log = Partition(), LogBuilder(task_id(1))
    partition.write(log.claim(time_ms=CHUNK_MS))
    partition.write(
        log.chunk(
            target(1, confidence=0.7, feature_digest="dim=4;norm=1.0000"),
            target(2, class_name="automobile", confidence=0.6, text="AB12", text_confidence=0.8),
            frame=0,
            vectors=[TrackVector(1, 0.7, unit(3, 4))],
        )
    )
    partition.write(
        log.chunk(
            target(1, confidence=0.9, roi=Roi(1, 2, 3, 4), feature_digest="dim=4;norm=2.0000"),
            target(2, class_name="automobile", confidence=0.6, text="AB13", text_confidence=0.8),
            frame=25,
            vectors=[TrackVector(1, 0.9, unit(0, 0, 2)), TrackVector(2, 0.9, unit(0))],
        )
    )
    partition.write(log.terminal("max_frames", time_ms=CHUNK_MS + 3000))
    feed(tables, partition, [submitted(log.task)])

    (task,) = tables.select(TASKS)
    assert (task.status, task.finish_reason) == ("succeeded", "max_frames")
    assert (task.started_ms, task.finished_ms) == (CHUNK_MS, CHUNK_MS + 3000)
    assert task.created_ms == created_ms_of(log.task) + 5
    assert (task.model, task.provider, task.source) == ("hint", "local", "videos.example.com")
    assert (task.steps, task.models) == (("detect", "feature"), ("detect@1", "feature@2"))
    assert (task.processed_frames, task.total_frames, task.fps) == (2, 100, 10.0)
    assert (task.processing_time_ms, task.decoded_frames) == (1200, 2)
    assert (task.log_length, task.log_position, task.month) == (log.end, 4, 202511)

    one, two = tables.select(TRACKS)
    assert (one.first_frame, one.last_frame, one.frames_seen) == (0, 25, 2)
    assert (one.first_s, one.last_s, one.dwell_s) == (0.0, 2.5, 2.5)
    assert (one.best_confidence, one.best_frame, one.best_left) == (0.9, 25, 1)
    assert one.feature_digest == "dim=4;norm=2.0000"
    assert (two.best_frame, two.text, two.text_confidence) == (0, "AB12", 0.8)
    assert (two.class_name, two.feature_digest) == ("automobile", None)

    frames = [
        (row.frame, row.det_idx, row.track_id, row.time_s) for row in tables.select(DETECTIONS)
    ]
    assert frames == [(0, 0, 1, 0.0), (0, 1, 2, 0.0), (25, 0, 1, 2.5), (25, 1, 2, 2.5)]

    (embedding,) = tables.select(EMBEDDINGS)  # a zero vector has no direction
    assert (embedding.track_id, embedding.frame) == (1, 25)
    assert embedding.vector == pytest.approx((0, 0, 1, 0))


def test_a_live_log_becomes_rows_with_the_times_of_capture(tables: IndexTables) -> None:
    partition, log = Partition(), LogBuilder(task_id(1))
    partition.write_all(
        log.claim(),
        log.chunk(target(1), captured_at="2026-11-30T12:00:00.250Z", time_s=0.0),
        log.chunk(target(2), captured_at="2026-11-30T12:00:01.250Z", time_s=1.0),
        log.notice(),
        log.chunk(target(1), captured_at="2026-11-30T12:00:31.500Z", time_s=31.25),
        log.chunk(target(1), captured_at="2026-11-30T12:00:31.400Z", time_s=31.35),  # set back
        log.terminal("cancelled", dropped={"overload": 7, "x" * 99: 2**63} | _MANY),
    )
    feed(tables, partition, [submitted(log.task, source=SourceRef(url="camera:gate"))])
    start_ms = 1_796_040_000_250
    (task,) = tables.select(TASKS)
    assert (task.source, task.source_name, task.status) == ("camera", "gate", "cancelled")
    assert (task.seen_from_ms, task.seen_to_ms) == (start_ms, start_ms + 31_250)
    assert (task.dropped["overload"], task.dropped["x" * 64]) == (7, MAX_COUNT)
    assert len(task.dropped) == MAX_REASONS
    one, two = tables.select(TRACKS)
    assert (one.first_seen_ms, one.last_seen_ms) == (start_ms, start_ms + 31_250)
    assert (two.first_seen_ms, two.last_seen_ms) == (start_ms + 1000, start_ms + 1000)
    assert (one.dwell_s, two.dwell_s) == (31.25, 0.0)
    captured_ms = [row.captured_ms for row in tables.select(DETECTIONS)]
    assert captured_ms == [start_ms + ms for ms in (0, 1000, 31_250, 31_150)]


def test_a_notice_is_no_processed_frame() -> None:
    log = LogBuilder(task_id(1))
    log.chunk(target(1))
    log.notice()
    log.chunk(target(1))
    task = IndexedTask(PROJECT, log.task)
    task.add_bytes(log.log, 0, epoch=0, time_ms=None)
    assert (task.row.processed_frames, task.row.last_frame) == (2, 1)
    assert task.row.log_length == log.end


def test_a_frames_time_that_is_none_is_left_out() -> None:
    log = LogBuilder(task_id(1))
    for text in ("yesterday", "2026-11-30T12:00:00.250", "9999-12-31T00:00:00Z", "1969-01-01T00Z"):
        log.chunk(target(1), captured_at=text)
    (track,) = summarise(PROJECT, log.task, log.log).values()
    assert (track.first_seen_ms, track.frames_seen, track.dwell_s) == (None, 4, 0.3)


class Estimating(LogBuilder):
    """Writes chunks of a source without a list of its frames."""

    def _chunk(self, targets: Any, *, first: bool) -> Any:
        chunk = super()._chunk(targets, first=first)
        info = msgspec.structs.replace(chunk.stream_info, total_frames_is_estimate=True)
        return msgspec.structs.replace(chunk, stream_info=info)


def test_an_estimated_total_is_known_as_one_until_the_frames_are_counted(
    tables: IndexTables,
) -> None:
    partition, log = Partition(), Estimating(task_id(1))
    partition.write_all(log.claim(), log.chunk(target(1)))
    feed(tables, partition, [submitted(log.task)])
    (task,) = tables.select(TASKS)
    assert (task.total_frames, task.total_frames_is_estimate) == (100, True)
    counted = LogBuilder(task_id(2))
    partition = Partition()
    partition.write_all(counted.claim(), counted.chunk(target(1)), counted.terminal("stop"))
    feed(tables, partition, [submitted(counted.task)])
    assert [row.total_frames_is_estimate for row in tables.select(TASKS)] == [True, False]


def test_tables_of_a_version_before_get_the_columns_that_came_since(
    connect: ClientFactory, tables: IndexTables
) -> None:
    partition, log = Partition(), LogBuilder(task_id(1))
    partition.write_all(log.claim(), log.chunk(target(1, text="AB", text_confidence=0.9)))
    feed(tables, partition, [submitted(log.task)])
    client = connect()
    client.command(f"DROP VIEW {V_TASKS}")
    for column in (
        "total_frames_is_estimate",
        "source_url",
        "source_name",
        "frame_plan",
        "expected_frames",
        "seen_from",
        "seen_to",
        "dropped",
    ):
        client.command(f"ALTER TABLE {TASKS} DROP COLUMN {column}")
    client.command(f"DROP VIEW {V_TRACKS}")
    for column in (
        "text_support",
        "text_readings",
        "text_weights",
        "text_confidences",
        "first_seen_at",
        "last_seen_at",
    ):
        client.command(f"ALTER TABLE {TRACKS} DROP COLUMN {column}")
    client.command(f"DROP VIEW {V_DETECTIONS}")
    client.command(f"ALTER TABLE {DETECTIONS} DROP COLUMN captured_at")
    client.command(f"ALTER TABLE {EMBEDDINGS} DROP COLUMN first_seen_at")
    for table in TABLES:
        client.command(f"ALTER TABLE {table} DROP COLUMN retention_days")
    ensure_schema(client)
    client.close()
    (task,) = tables.select(TASKS)
    assert (task.task_id, task.total_frames_is_estimate) == (log.task, False)
    assert (task.source_url, task.source_name, task.expected_frames) == ("", "", None)
    assert (task.seen_from_ms, task.seen_to_ms, task.dropped) == (None, None, {})
    (track,) = tables.select(TRACKS)
    assert (track.text, track.text_support, track.text_readings) == ("AB", None, ())
    assert (track.first_seen_ms, track.last_seen_ms) == (None, None)
    assert [row.captured_ms for row in tables.select(DETECTIONS)] == [None]
    # The one reading that an earlier version kept has its vote in what comes after it.
    partition.write_all(*(log.chunk(target(1, text="ABC", text_confidence=0.5)) for _ in range(2)))
    feed(tables, partition, [submitted(log.task)])
    (track,) = tables.select(TRACKS)
    assert track.text_readings == ("AB", "ABC")
    assert track.text_weights == pytest.approx((1.8, 3.0))
    assert (track.text, track.text_support) == ("ABC", pytest.approx(3 / 4.8))


def test_a_tracks_text_is_the_spelling_with_the_most_votes(tables: IndexTables) -> None:
    partition, log = Partition(), LogBuilder(task_id(1))
    partition.write(log.claim())
    for text, confidence in [("ARKING", 0.99), ("Parking", 0.8), ("P ARKING", 0.9), ("PARK", 0.9)]:
        partition.write(log.chunk(target(1, text=text, text_confidence=confidence)))
    partition.write(log.terminal())
    feed(tables, partition, [submitted(log.task)])
    (track,) = tables.select(TRACKS)
    assert (track.text, track.text_confidence) == ("P ARKING", 0.9)
    assert track.text_support == pytest.approx(1.7 * 7 / (1.7 * 7 + 0.99 * 6 + 0.9 * 4))
    readings = [row.text for row in tables.select(DETECTIONS)]
    assert readings == ["ARKING", "Parking", "P ARKING", "PARK"]


def test_a_submission_alone_is_a_pending_task(tables: IndexTables) -> None:
    feed(tables, Partition(), [submitted(task_id(1), source=SourceRef(object_key="p/t/upload"))])
    (task,) = tables.select(TASKS)
    assert (task.status, task.source, task.log_length) == ("pending", "upload", 0)


def test_a_task_has_its_source_and_the_frames_it_will_process(tables: IndexTables) -> None:
    partition, log = Partition(), LogBuilder(task_id(1))
    partition.write_all(log.claim(), log.chunk(target()))
    source = SourceRef(url="https://user:pw@a.example/gate%203.mp4?token=secret", sealed=True)
    feed(tables, partition, [submitted(log.task, source=source)])
    (task,) = tables.select(TASKS)
    assert task.source_url == "https://***@a.example/gate%203.mp4?token=***"
    assert (task.source, task.source_name) == ("a.example", "gate 3.mp4")
    assert task.expected_frames == TOTAL_FRAMES / FPS  # one frame for each second


def test_a_claim_makes_a_task_running(tables: IndexTables) -> None:
    partition, log = Partition(), LogBuilder(task_id(1))
    partition.write(log.claim(time_ms=CHUNK_MS))
    feed(tables, partition, [submitted(log.task)])
    (task,) = tables.select(TASKS)
    assert (task.status, task.started_ms) == ("running", CHUNK_MS)


@pytest.mark.parametrize(
    ("reason", "status"), [("stop", "succeeded"), ("error", "failed"), ("cancelled", "cancelled")]
)
def test_the_terminal_settles_the_status(
    tables: IndexTables, reason: FinishReason, status: str
) -> None:
    partition, log = Partition(), LogBuilder(task_id(1))
    error = ("source_http_status", "404") if reason == "error" else None
    partition.write_all(log.claim(), log.terminal(reason, error=error))
    feed(tables, partition, [submitted(log.task)])
    (task,) = tables.select(TASKS)
    assert (task.status, task.error_code) == (status, error[0] if error else None)


def test_a_submission_after_the_end_fills_in_the_row(tables: IndexTables) -> None:
    partition, log = Partition(), LogBuilder(task_id(1))
    partition.write_all(log.claim(), log.chunk(target()), log.terminal())
    indexer = Indexer()
    indexer.recover(log.task, PROJECT, 0, None)
    for record in partition.records:
        indexer.take(0, record)
    write(tables, indexer.rows())
    feed(tables, Partition(), [submitted(log.task)])
    (task,) = tables.select(TASKS)
    assert (task.status, task.source, task.log_length) == (
        "succeeded",
        "videos.example.com",
        log.end,
    )


def test_a_gap_is_read_again_once() -> None:
    partition, log = Partition(), LogBuilder(task_id(1))
    partition.write_all(log.claim(), log.chunk(target()), log.chunk(target()))
    indexer = Indexer()
    indexer.recover(log.task, PROJECT, 3, None)
    claim, _, late = partition.records
    indexer.take(3, claim)
    assert indexer.take(3, late) == Gap(3, 1)
    assert indexer.take(3, late) is None
    assert indexer.unknown([log.task]) == []


def test_a_claim_holds_the_commit_until_its_first_chunk() -> None:
    partition, log = Partition(), LogBuilder(task_id(1))
    partition.write_all(log.claim(), log.chunk(target()), log.claim(), log.chunk(target()))
    indexer = Indexer()
    indexer.recover(log.task, PROJECT, 0, None)
    commits = []
    for record in partition.records:
        indexer.take(0, record)
        commits.append(indexer.committable({0: record.position + 1})[0])
    assert commits == [0, 2, 2, 4]
    away, lost = Partition(), LogBuilder(task_id(2))
    away.write_all(*(lost.claim() for _ in range(5)))
    indexer.recover(lost.task, PROJECT, 1, None)
    for record in away.records:
        indexer.take(1, record)
    assert indexer.committable({1: 5})[1] == 4  # the newest claim fences them all


def random_run(rng: random.Random) -> tuple[Partition, list[LogBuilder], list[Submitted]]:
    partition = Partition()
    logs = [LogBuilder(task_id(n)) for n in range(2)]
    for log in logs:
        partition.write(log.claim())
    for _ in range(rng.randrange(2, 20)):
        log = rng.choice(logs)
        roll = rng.random()
        if roll < 0.15:
            partition.write(log.claim())
        elif roll < 0.2 and log.end:
            partition.write(log.notice())
        elif roll < 0.3:
            old = rng.choice(partition.records)
            partition.write(old, epoch=old.epoch) if old.kind == "chunk" else None
        else:
            found = [random_target(rng, t) for t in rng.sample(range(1, 5), rng.randrange(4))]
            vectors = [TrackVector(t.track_id, t.confidence, unit(1, rng.random())) for t in found]
            frame = log.frame + rng.randrange(1, 4)
            captured_at = rfc3339(CHUNK_MS + 100 * frame + rng.randrange(300))
            partition.write(
                log.chunk(*found, frame=frame, vectors=vectors, captured_at=captured_at)
            )
    for log in logs:
        if rng.random() < 0.7:
            partition.write(log.terminal())
    return partition, logs, [submitted(log.task) for log in logs]


def random_target(rng: random.Random, track_id: int) -> Target:
    return target(
        track_id,
        confidence=rng.choice([0.5, 0.6, 0.7]),
        text=rng.choice(["A", "B"]),
        text_confidence=rng.choice([0.5, 0.9]),
        feature_digest=f"dim=4;norm={rng.random():.4f}",
    )


@pytest.mark.parametrize("n_earlier", [1, 3, 4])
def test_the_order_of_events_lines_says_nothing(n_earlier: int) -> None:
    """`n_earlier` events are of a version that wrote `id` first: 4 are a whole log."""
    today, mixed = LogBuilder(task_id(1)), LogBuilder(task_id(1))
    mixed.frame_event = frame_id_first
    for log in (today, mixed):
        for n in range(4):
            if n == n_earlier:
                log.frame_event = frame_event
            if n < 3:
                log.chunk(target(1, text=f"A{n}"), target(2))
            else:
                log.terminal()
    assert today.log != mixed.log
    assert len(today.log) == len(mixed.log)
    assert summarise(PROJECT, today.task, today.log) == summarise(PROJECT, today.task, mixed.log)
    firsts = [edge_events(log.log, log.log, 0) for log in (today, mixed)]
    assert firsts[0] == firsts[1]


class MemoryTables:
    """ReplacingMergeTree's rule over dicts: the highest version of a key, the last of equals."""

    KEYS: ClassVar = {
        TASKS: (("task_id",), "rev"),
        TRACKS: (("task_id", "track_id"), "last_off"),
        DETECTIONS: (("task_id", "frame", "det_idx"), "epoch"),
        EMBEDDINGS: (("task_id", "track_id"), "off"),
    }

    def __init__(self) -> None:
        self.tables: dict[str, dict[tuple[Any, ...], Any]] = {table: {} for table in TABLES}

    def insert(self, table: str, rows: Sequence[msgspec.Struct]) -> None:
        key_fields, version = self.KEYS[table]
        for row in rows:
            key = tuple(getattr(row, name) for name in key_fields)
            known = self.tables[table].get(key)
            if known is None or getattr(known, version) <= getattr(row, version):
                self.tables[table][key] = row

    def recover(self, tasks: list[str]) -> dict[str, Recovered]:
        return {
            row.task_id: Recovered(
                row,
                tuple(t for t in self.tables[TRACKS].values() if t.task_id == row.task_id),
                tuple(
                    Embedded(e.track_id, e.confidence, e.off)
                    for e in self.tables[EMBEDDINGS].values()
                    if e.task_id == row.task_id
                ),
            )
            for row in self.tables[TASKS].values()
            if row.task_id in tasks
        }


@dataclass
class Process:
    """An index process: what it has read, and the position from which it reads on."""

    indexer: Indexer = field(default_factory=Indexer)
    next: int = 0


def replay(
    rng: random.Random, partition: Partition, submissions: list[Submitted], tables: MemoryTables
) -> None:
    """Index with random batches, crashes between the tables' inserts and two processes at once."""
    todo = {one.task: one for one in submissions}
    processes = [Process() for _ in range(2)]
    committed = 0
    for _ in range(rng.randrange(3, 30)):
        process = rng.choice(processes)
        indexer = process.indexer
        batch = partition.records[process.next : process.next + rng.randrange(1, 8)]
        _index(indexer, batch, todo, tables)
        rows = indexer.rows()
        n_tables = 4 if rng.random() < 0.7 else rng.randrange(4)
        for table, part in rows.by_table()[:n_tables]:
            tables.insert(table, part)
        if n_tables < 4:  # killed: the rest of the batch never comes
            process.indexer, process.next = Indexer(), committed
            continue
        indexer.written()
        process.next += len(batch)
        committed = max(committed, indexer.committable({0: process.next})[0])
    last = Indexer()
    _index(last, partition.records[committed:], todo, tables)
    write(tables, last.rows())


def _index(
    indexer: Indexer,
    batch: Sequence[ChunkRecord],
    todo: dict[str, Submitted],
    tables: IndexTables | MemoryTables,
) -> None:
    unknown = indexer.unknown(record.task for record in batch)
    found = tables.recover(unknown)
    for task in unknown:
        indexer.recover(task, PROJECT, 0, found.get(task))
        indexer.submit(todo[task])
    for record in batch:
        assert indexer.take(0, record) is None


@settings(max_examples=200, deadline=None)
@given(seed=st.integers(0, 2**32))
def test_batches_restarts_and_rivals_write_the_same_rows(seed: int) -> None:
    rng = random.Random(seed)
    partition, logs, submissions = random_run(rng)
    straight, crooked = MemoryTables(), MemoryTables()
    whole = Indexer()
    _index(whole, partition.records, {one.task: one for one in submissions}, straight)
    write(straight, whole.rows())
    replay(rng, partition, submissions, crooked)
    assert crooked.tables == straight.tables
    for log in logs:
        rows = {k[1]: row for k, row in straight.tables[TRACKS].items() if k[0] == log.task}
        assert without_creation(rows) == without_creation(summarise(PROJECT, log.task, log.log))


def without_creation(rows: dict[int, TrackRow]) -> dict[int, TrackRow]:
    return {key: msgspec.structs.replace(row, created_ms=0) for key, row in rows.items()}


def test_chdb_keeps_the_same_rows_whatever_the_batches(tables: IndexTables) -> None:
    rng = random.Random(7)
    partition, _, submissions = random_run(rng)
    memory = MemoryTables()
    replay(rng, partition, submissions, memory)
    for size in (1, 5):  # replays with other boundaries, over what is there
        indexer = Indexer()
        for at in range(0, len(partition.records), size):
            batch = partition.records[at : at + size]
            _index(indexer, batch, {one.task: one for one in submissions}, tables)
            write(tables, indexer.rows())
    for table in TABLES:
        assert tables.select(table) == sorted_rows(memory, table)


def sorted_rows(memory: MemoryTables, table: str) -> list[Any]:
    return [memory.tables[table][key] for key in sorted(memory.tables[table])]


def test_ids_of_no_api_are_passed_over() -> None:
    indexer = Indexer()
    indexer.recover("someone-elses", PROJECT, 0, None)
    assert indexer.unknown(["someone-elses"]) == []


def test_month_and_time_are_read_from_the_id() -> None:
    assert created_ms_of("vt_01ARZ3NDEKTSV4RRFFQ69G5FAV") == 1469922850259
    assert month_of("vt_01ARZ3NDEKTSV4RRFFQ69G5FAV") == 201607
    for bad in (
        "vt_",
        "01ARZ3NDEKTSV4RRFFQ69G5FAV",
        "vt_81ARZ3NDEKTSV4RRFFQ69G5FAV",
        "vt_01ARZ3NDEUTSV4RRFFQ69G5FAV",
    ):
        with pytest.raises(ValueError, match="task id"):
            created_ms_of(bad)


def test_only_the_host_of_a_source_is_told() -> None:
    assert source_host(SourceRef(url="https://u:p@h.example:1/x?sig=s")) == "h.example"
    assert source_host(SourceRef(url="file:///srv/clips/a.mp4")) == "file"
    assert source_host(SourceRef(url="rtsp://u:p@h.example:554/x")) == "h.example"
    assert source_host(SourceRef(url="camera:gate")) == "camera"
    assert source_host(SourceRef(object_key="p/t/upload")) == "upload"


def test_vectors_have_length_one_or_are_left_out() -> None:
    assert np.linalg.norm(normalised(unit(3, 4)) or ()) == pytest.approx(1)
    assert normalised(unit(0)) is None
    assert normalised(np.array([np.inf, 1], "<f2").tobytes()) is None
    assert normalised(b"\0\0\0") is None
    assert normalised(b"\x01\x7d" * 130) is None  # signalling NaNs
