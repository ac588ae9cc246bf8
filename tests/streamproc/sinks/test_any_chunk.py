"""Whatever a chunk says, its task is indexed: every number at and beyond every bound."""

import json
import secrets
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from streamproc.contract import bounds
from streamproc.contract.framing import DONE, frame_event
from streamproc.contract.records import (
    ChunkRecord,
    Kind,
    TrackVector,
    encode_vectors,
    read_chunk_record,
)
from streamproc.contract.tables import DETECTIONS, TASKS
from streamproc.sinks.index.indexer import Indexer
from streamproc.sinks.index.tables import IndexTables

from .logs import PROJECT, submitted, target, unit

EDGES = [
    sign * (base + step)
    for base in (0, 2**24, 2**31, 2**32, 2**40, 2**53, 2**63, 2**64, bounds.MAX_TIME_MS, 10**20)
    for step in (-1, 0, 1)
    for sign in (-1, 1)
]
INTS = st.sampled_from(EDGES) | st.integers(-(10**25), 10**25)
KAFKA_INTS = st.sampled_from([n for n in EDGES if abs(n) < 2**63])
PAIRS = st.sampled_from([[a, b] for a in EDGES for b in EDGES])
FLOATS = st.floats(allow_nan=False, allow_infinity=False)  # JSON has no others
TEXTS = st.text(max_size=30)
MOMENTS = st.sampled_from(
    [
        *("", "2026-11-30T12:00:00.250Z", "2026-11-30T12:00:00", "0001-01-01T00:00:00+23:59"),
        *("2299-12-31T23:59:59.999Z", "2300-01-01T00:00:00Z", "9999-12-31T23:59:59.999-23:59"),
    ]
)
GIVEN = st.fixed_dictionaries(
    {
        "frame_index": INTS,
        "total_frames": st.none() | INTS,
        "decoded_frames": INTS,
        "dropped_frames": INTS,
        "fps": FLOATS,
        "elapsed_ms": INTS,
    },
    optional={
        "time_s": FLOATS,
        "total_frames_is_estimate": st.booleans(),
        "frame_index_is_estimate": st.booleans(),
        "sample_aspect_ratio": PAIRS,
        "frame_size": PAIRS,
        "captured_at": MOMENTS,
        "lag_ms": INTS,
        "size": PAIRS,
        "source": st.just({"state": "lost", "code": "x", "attempts": 2**70}),
    },
)
TARGETS = st.lists(
    st.fixed_dictionaries(
        {
            "track_id": INTS,
            "class": TEXTS,
            "confidence": FLOATS,
            "roi": st.fixed_dictionaries(dict.fromkeys(["left", "top", "width", "height"], INTS)),
        },
        optional={
            "text": TEXTS,
            "text_confidence": FLOATS,
            "feature_digest": TEXTS,
            "feature": TEXTS,
        },
    ),
    max_size=2,
)
USAGES = st.fixed_dictionaries(
    {"processed_frames": INTS, "processing_time_ms": INTS},
    optional={
        "decoded_frames": INTS,
        "failed_frames": INTS,
        "skipped_frames": INTS,
        "dropped": st.dictionaries(TEXTS, INTS, max_size=2),
    },
)
VECTORS = st.lists(
    st.builds(
        TrackVector,
        track_id=st.integers(-(2**63), 2**64 - 1),
        confidence=st.floats(),
        vector=st.binary(max_size=9) | st.just(unit(1, 2)),
    ),
    max_size=2,
)
LOGS = st.tuples(GIVEN, TARGETS, VECTORS, GIVEN, USAGES, TEXTS, KAFKA_INTS, INTS)


def records_of(task: str, log: tuple[Any, ...], position: int) -> list[ChunkRecord]:
    """Return a chunk and a terminal, as they come out of Kafka."""
    info, targets, vectors, end_info, usage, text, time_ms, frame = log
    chunk = {
        "id": text,
        "object": text,
        "stream_info": info,
        "delta": {"results": [{"index": 0, "targets": targets}]},
        "finish_reason": None,
        "model": text,
        "provider": text,
    }
    first = frame_event(json.dumps(chunk).encode(), 0)
    end = {
        **chunk,
        "stream_info": end_info,
        "delta": {"results": []},
        "finish_reason": "error",
        "usage": usage,
        "error": {"code": text, "message": text},
    }
    last = frame_event(json.dumps(end).encode(), len(first))
    last += frame_event(DONE, len(first) + len(last))
    written: tuple[tuple[Kind, int, int, bytes, bytes | None], ...] = (
        ("chunk", 0, 0, first, encode_vectors(vectors)),
        ("terminal", 1, len(first), last, None),
    )
    return [
        read_chunk_record(
            key=task.encode(),
            value=value,
            headers=ChunkRecord(
                task, PROJECT, kind, 0, seq, off, frame, frame, value, vectors=vec
            ).headers(),
            position=position + seq,
            time_ms=time_ms,
        )
        for kind, seq, off, value, vec in written
    ]


@settings(
    max_examples=8,  # each is a batch: an insert costs as much as the making of its rows
    deadline=None,
    phases=[Phase.generate],  # to shrink would mean as many inserts again
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(st.lists(LOGS, min_size=18, max_size=26))
def test_any_chunk_that_can_be_written_is_indexed(
    tables: IndexTables, logs: list[tuple[Any, ...]]
) -> None:
    tasks = ["vt_01KAN7W0" + secrets.token_hex(9).upper() for _ in logs]
    indexer = Indexer()
    lengths = {}
    for n, (task, log) in enumerate(zip(tasks, logs, strict=True)):
        indexer.recover(task, PROJECT, 0, None)
        indexer.submit(msgspec.structs.replace(submitted(task), created_ms=2**63 - 1))
        for record in records_of(task, log, 10 * n):
            assert indexer.take(0, record) is None
            lengths[task] = record.end
    assert indexer.take_left_out() == []
    for table, rows in indexer.rows().by_table():
        assert tables.insert(table, rows) == []
    found = tables.recover(tasks)
    assert {task: known.row.log_length for task, known in found.items() if known} == lengths
    assert {known.row.status for known in found.values() if known} == {"failed"}
    n_targets = sum(len(log[1]) for log in logs)
    assert len(tables.select(DETECTIONS, tasks)) == n_targets


@pytest.mark.parametrize("total", [-10, 10**20])
def test_a_count_that_no_column_holds_stands_as_unknown(tables: IndexTables, total: int) -> None:
    info = dict.fromkeys(
        ["frame_index", "decoded_frames", "dropped_frames", "fps", "elapsed_ms"], 1
    ) | {"total_frames": total}
    task = "vt_01KAN7W0" + secrets.token_hex(9).upper()
    plain = msgspec.to_builtins(target(3))
    usage = {"processed_frames": 1, "processing_time_ms": 1}
    indexer = Indexer()
    indexer.recover(task, PROJECT, 0, None)
    for record in records_of(task, (info, [plain], [], info, usage, "x", 5, 1), 0):
        indexer.take(0, record)
    for table, rows in indexer.rows().by_table():
        assert tables.insert(table, rows) == []
    (row,) = tables.select(TASKS, [task])
    assert (row.total_frames, row.fps, row.last_frame) == (None, 1.0, 1)
