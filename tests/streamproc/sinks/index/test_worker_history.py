"""Samples of heartbeats: one per worker in ten seconds; what is unusable costs nothing else."""

import math
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest

from streamproc.contract.records import ConsumerBeat, WorkerBeat
from streamproc.contract.worker_history import COLUMNS
from streamproc.sinks.index.worker_history import MAX_SKEW_MS, MAX_WORKERS, Sampler

AT_MS = 1_767_225_600_000


def beat(worker: str = "w-1", at_ms: int = AT_MS, **changes: Any) -> WorkerBeat:
    base = WorkerBeat(
        worker=worker,
        host="h",
        pid=1,
        started_ms=AT_MS,
        beat_ms=at_ms,
        device="CPU",
        precision="f32",
        models=(),
        slots=4,
        busy=2,
        fps=12.5,
        processed_frames=100,
        rss_bytes=7,
        cpu_percent=187.5,
    )
    return msgspec.structs.replace(base, **changes)


class Message:
    """A message of Kafka's, as far as the sampler reads it."""

    def __init__(self, key: str, value: bytes | None, at_ms: int = AT_MS) -> None:
        self._key, self._value, self._at_ms = key, value, at_ms

    def key(self) -> bytes:
        return self._key.encode()

    def value(self) -> bytes | None:
        return self._value

    def timestamp(self) -> tuple[int, int]:
        return 1, self._at_ms


def sent(one: WorkerBeat) -> Message:
    return Message(one.worker, msgspec.msgpack.encode(one), one.beat_ms)


def test_each_worker_has_one_row_in_ten_seconds_with_its_first_heartbeat() -> None:
    sampler = Sampler()
    beats = [
        beat(worker, AT_MS + 2000 * n, processed_frames=n)
        for n in range(15)
        for worker in ("w-1", "w-2")
    ]
    rows = [dict(zip(COLUMNS, row, strict=True)) for row in sampler.rows([*map(sent, beats)])]
    found = [(row["worker"], row["at"], row["processed_frames"]) for row in rows]
    assert found == [
        (worker, datetime.fromtimestamp(AT_MS // 1000 + 10 * n, UTC), 5 * n)
        for n in range(3)
        for worker in ("w-1", "w-2")
    ]
    assert rows[0]["cpu_percent"] == 187.5
    assert sampler.rows([*map(sent, beats)]) == []  # read a second time
    assert sampler.n_left_out == 0


def test_a_bad_or_foreign_record_is_left_out_and_counted_and_the_next_one_is_taken() -> None:
    sampler = Sampler()
    consumer = ConsumerBeat("index", "h", 1, AT_MS, AT_MS, (0,))
    messages = [
        Message("consumer/index/h", msgspec.msgpack.encode(consumer)),
        Message("w-gone", None),
        Message("x", b"\xc1"),
        Message("x", b""),
        Message("x", msgspec.msgpack.encode({"worker": 5})),
        Message("x", msgspec.msgpack.encode(beat("x" * 257))),
        Message("x", msgspec.msgpack.encode(beat("future", AT_MS + MAX_SKEW_MS + 1))),
        Message("x", msgspec.msgpack.encode(beat("past", 0))),
        sent(beat("w-1")),
    ]
    (row,) = sampler.rows(messages)
    assert row[1] == "w-1"
    assert sampler.n_left_out == 6  # neither another role's heartbeat nor a tombstone


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, -1.0, 1e300])
def test_numbers_are_clamped_to_their_columns(value: float) -> None:
    data = msgspec.msgpack.encode(
        beat(fps=value, cpu_percent=value, rss_bytes=2**64 - 1, busy=-1, slots=2**40)
    )
    row = dict(zip(COLUMNS, Sampler().take(data, AT_MS) or (), strict=True))
    for name in ("fps", "cpu_percent"):
        number = row[name]
        assert isinstance(number, float)
        assert 0 <= number <= 1e9
    assert (row["rss_bytes"], row["busy"], row["slots"]) == (2**63 - 1, 0, 2**32 - 1)


def test_the_rows_of_one_time_are_bounded() -> None:
    sampler = Sampler()
    messages = [sent(beat(f"w-{n}")) for n in range(MAX_WORKERS + 20)]
    assert len(sampler.rows(messages)) == MAX_WORKERS
    assert sampler.n_left_out == 20
    assert len(sampler.rows([sent(beat("w-later", AT_MS + 10_000))])) == 1


def test_a_worker_of_an_older_version_has_no_cpu() -> None:
    old = msgspec.to_builtins(beat())
    del old["cpu_percent"]
    row = Sampler().take(msgspec.msgpack.encode(old), AT_MS)
    assert row is not None
    assert row[COLUMNS.index("cpu_percent")] is None
