"""The archive of live tasks, with a simulated clock: how many objects, and how it is closed."""

import hashlib
from collections.abc import Iterator

import msgspec
import pytest

from streamproc.clients.object_store import ListedObject
from streamproc.contract import object_keys
from streamproc.contract.object_keys import Final, SegmentInfo, final_key, linked, request_key
from streamproc.contract.records import ChunkRecord, TrackVector
from streamproc.contract.task_spec import LiveOptions
from streamproc.contract.timestamps import rfc3339
from streamproc.sinks.archive import log_digest, task
from streamproc.sinks.archive.actions import StoreAction, perform, segment_info
from streamproc.sinks.archive.partition import COMMIT_WITHIN_RECORDS, Archiver
from streamproc.sinks.archive.segments import segments
from streamproc.sinks.maintenance import rebuild as rebuilding
from streamproc.sinks.maintenance.verify import verify
from tests.streamproc.sinks.logs import (
    PROJECT,
    LogBuilder,
    MemoryObjects,
    Partition,
    submitted,
    target,
    task_id,
    unit,
)

START_MS = 1_800_000_000_000
HOUR_S = 3600


class Archive:
    """One archiver whose actions are performed at once, and the time that it is told."""

    def __init__(self, store: MemoryObjects, position: int = 0) -> None:
        self.store = store
        self.archiver = Archiver(position)
        self.now_s = 0.0
        self.actions: list[StoreAction] = []

    def accept(self, *records: ChunkRecord) -> None:
        for record in records:
            self._run(self.archiver.accept(record, self.now_s))

    def tick(self, now_s: float) -> None:
        self.now_s = now_s
        self._run(self.archiver.tick(now_s))

    def flush(self) -> None:
        self._run(self.archiver.flush(self.now_s))

    def _run(self, actions: object) -> None:
        waiting = list(actions)  # type: ignore[call-overload]
        while waiting:
            action = waiting.pop(0)
            self.actions.append(action)
            waiting += self.archiver.done(perform(self.store, action), self.now_s)


class Forgetful(LogBuilder):
    """Does not keep the log's bytes."""

    def _append(self, record: ChunkRecord) -> ChunkRecord:
        super()._append(record)
        self.log = b""
        return record


class Camera:
    """A live task that is archived frame by frame, at seconds of a simulated clock."""

    def __init__(
        self, log: LogBuilder | None = None, *, is_live: bool = True, vectors: bool = False
    ) -> None:
        self.log = log or LogBuilder(task_id(1))
        self.partition, self.store = Partition(), MemoryObjects()
        live = LiveOptions() if is_live else None
        request = msgspec.json.encode(submitted(self.log.task, live=live))
        self.store.put_if_absent(request_key(PROJECT, self.log.task), request, {})
        self.archive = Archive(self.store)
        self._vectors = [TrackVector(1, 0.5, unit(1.0))] if vectors else []
        self.write(self.log.claim(time_ms=START_MS))

    def write(self, record: ChunkRecord) -> None:
        self.archive.accept(self.partition.write(record))

    def play(self, seconds: range, fps: int = 2) -> None:
        for second in seconds:
            for n in range(fps):
                now_s = second + n / fps
                self.archive.tick(now_s)
                time_ms = START_MS + round(now_s * 1000)
                at = rfc3339(time_ms - 150)
                vectors = self._vectors
                chunk = self.log.chunk(target(), vectors=vectors, time_ms=time_ms, captured_at=at)
                self.write(chunk)

    def close(self) -> Final:
        self.write(self.log.terminal("cancelled"))
        self.archive.flush()
        body = self.store.get(final_key(PROJECT, self.log.task))
        return msgspec.json.decode(body or b"", type=Final)

    def infos(self) -> Iterator[tuple[int, int, SegmentInfo]]:
        for key, start, end in segments(self.store, PROJECT, self.log.task):
            head = self.store.head(key)
            assert head is not None
            yield start, end, segment_info(head)


@pytest.mark.parametrize("vectors", [False, True], ids=["detect", "feature"])
def test_an_hour_of_a_camera_is_at_most_130_objects(vectors: bool) -> None:
    camera = Camera(Forgetful(task_id(1)), vectors=vectors)
    counts = []
    for hour in range(2):
        before = len(camera.store.stored)
        camera.play(range(hour * HOUR_S, (hour + 1) * HOUR_S), fps=1)
        counts.append(len(camera.store.stored) - before)
    assert max(counts) <= 130, counts
    assert min(counts) >= 90, counts  # otherwise records wait for longer than they should


def test_a_live_tasks_first_records_are_stored_within_seconds() -> None:
    camera = Camera()
    camera.play(range(5))
    first, second, *_ = camera.infos()
    assert first[2].next_seq <= 4
    assert second[2].next_seq <= 8


def test_another_task_is_stored_every_second() -> None:
    camera = Camera(is_live=False)
    camera.play(range(120))
    assert len(list(camera.infos())) >= 115
    assert not list(camera.store.keys(object_keys.LIVE))


def test_a_live_task_that_holds_the_commit_far_back_is_stored_earlier() -> None:
    camera = Camera()
    camera.play(range(100))
    held = camera.archive.archiver.committable()
    assert held < len(camera.partition.records) - 10
    other = LogBuilder(task_id(2))
    camera.write(other.claim())
    for _ in range(COMMIT_WITHIN_RECORDS):
        camera.partition.records.append(camera.partition.records[-1])  # read by others, not here
    camera.archive.archiver.skip(len(camera.partition.records))
    camera.archive.tick(camera.archive.now_s)
    assert camera.archive.archiver.committable() > held


def test_memory_that_is_short_stores_all_of_it() -> None:
    camera = Camera()
    camera.play(range(100))
    archiver = camera.archive.archiver
    assert archiver.buffered_bytes > 0
    camera.archive._run(archiver.tick(camera.archive.now_s, pressed=True))
    assert archiver.buffered_bytes == 0


def test_the_bytes_that_wait_are_counted_as_they_come_and_go() -> None:
    camera = Camera(vectors=True)
    camera.play(range(100))
    waiting = [r for r in camera.partition.records if r.kind == "chunk" and r.off >= stored(camera)]
    size = sum(len(r.value) + len(r.vectors or b"") for r in waiting)
    assert camera.archive.archiver.buffered_bytes == size > 0


def stored(camera: Camera) -> int:
    return max(end for _, end, _ in camera.infos())


def test_segments_tell_their_time_and_continue_a_chain() -> None:
    camera = Camera()
    camera.play(range(200))
    chain, until_ms = "", 0
    for start, end, info in camera.infos():
        body = camera.log.log[start:end]
        assert info.digest == hashlib.sha256(body).hexdigest()
        chain = linked(chain, info.digest)
        assert info.chain == chain
        assert info.first_ms is not None
        assert info.last_ms is not None
        assert until_ms < info.first_ms <= info.last_ms
        until_ms = info.last_ms
        assert info.provider == "local"
    assert until_ms > START_MS + 100_000
    assert (until_ms - START_MS) % 500 == 350  # the capture, 150 ms before the record


@pytest.fixture
def hashed(monkeypatch: pytest.MonkeyPatch) -> int:
    """A limit of the hashed length that a test's log exceeds."""
    for module in (log_digest, task, rebuilding):
        monkeypatch.setattr(module, "MAX_HASHED_BYTES", 20_000)
    return 20_000


class Counting(MemoryObjects):
    """Counts the bytes that are read back."""

    read_bytes = 0

    def get(self, key: str) -> bytes | None:
        body = super().get(key)
        if "/seg/" in key:
            self.read_bytes += len(body or b"")
        return body


@pytest.mark.parametrize("restarted", [False, True])
def test_a_long_log_is_closed_by_its_chain_without_being_read(
    hashed: int,
    restarted: bool,
) -> None:
    camera = Camera()
    camera.store.__class__ = Counting
    camera.play(range(120))
    if restarted:
        committed = camera.archive.archiver.committable()
        camera.archive = Archive(camera.store, committed)
        camera.archive.accept(*camera.partition.records[committed:])
    final = camera.close()
    assert len(camera.log.log) > 2 * hashed
    *_, (_, _, last) = camera.infos()
    assert final.sha256 is None
    assert final.chain == last.chain != ""
    assert (final.length, final.provider) == (len(camera.log.log), "local")
    assert camera.store.read_bytes < len(camera.log.log) / 3  # type: ignore[attr-defined]
    assert list(verify(camera.store, None)) == []


def test_a_short_log_has_its_hash_and_no_chain() -> None:
    camera = Camera()
    camera.play(range(20))
    final = camera.close()
    assert final.sha256 == hashlib.sha256(camera.log.log).hexdigest()
    assert final.chain is None
    assert list(verify(camera.store, None)) == []


@pytest.mark.usefixtures("hashed")
def test_a_long_log_of_segments_without_a_chain_is_read_and_hashed() -> None:
    """Its first segments were written by an older version."""
    camera = Camera()
    camera.play(range(120))
    for key in [key for key in camera.store.stored if "/seg/" in key]:
        body, metadata = camera.store.stored[key]
        old = {name: metadata[name] for name in metadata if name not in {"chain", "sha256"}}
        camera.store.stored[key] = (body, old)
    committed = camera.archive.archiver.committable()
    camera.archive = Archive(camera.store, committed)
    camera.archive.accept(*camera.partition.records[committed:])
    final = camera.close()
    assert final.sha256 == hashlib.sha256(camera.log.log).hexdigest()
    assert list(verify(camera.store, None)) == []


def test_verify_finds_a_segment_that_was_exchanged() -> None:
    camera = Camera()
    camera.play(range(60))
    camera.close()
    key = sorted(key for key in camera.store.stored if "/seg/" in key)[2]
    body, metadata = camera.store.stored[key]
    assert b"pedestrian" in body
    camera.store.stored[key] = (body.replace(b"pedestrian", b"pedestriam"), metadata)
    (found,) = verify(camera.store, None)
    assert "another hash" in found.what
    digest = hashlib.sha256(camera.store.stored[key][0]).hexdigest()
    camera.store.stored[key] = (camera.store.stored[key][0], metadata | {"sha256": digest})
    (found,) = verify(camera.store, None)
    assert "chain" in found.what


class Listed(MemoryObjects):
    """Counts how many objects were listed."""

    n_listed = 0

    def keys(self, prefix: str, after: str = "") -> Iterator[ListedObject]:
        for listed in super().keys(prefix, after):
            self.n_listed += 1
            yield listed


def test_a_restarted_archiver_lists_the_end_of_a_long_log_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("streamproc.sinks.archive.segments.MAX_SEGMENT_BYTES", 15_000)
    camera = Camera()
    camera.play(range(2000), fps=1)
    n_segments = len(list(camera.infos()))
    camera.store.__class__ = Listed
    committed = camera.archive.archiver.committable()
    camera.archive = Archive(camera.store, committed)
    camera.archive.accept(*camera.partition.records[committed:])
    assert n_segments > 60
    assert camera.store.n_listed <= 3  # type: ignore[attr-defined]
    final = camera.close()
    assert final.sha256 == hashlib.sha256(camera.log.log).hexdigest()
