"""Builders of task logs as records of video.chunks, and an object store in memory."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import msgspec
import numpy as np
from msgspec import UNSET

from streamproc.clients.object_store import ListedObject, ObjectHead
from streamproc.contract.chunk import (
    Chunk,
    ChunkError,
    Delta,
    FinishReason,
    Notice,
    Result,
    Roi,
    StreamInfo,
    Target,
    Usage,
    encode_chunk,
)
from streamproc.contract.framing import DONE, frame_event
from streamproc.contract.records import (
    Attempt,
    ChunkRecord,
    Claim,
    FoldPoint,
    Kind,
    Submitted,
    TrackVector,
    encode_vectors,
)
from streamproc.contract.tables import created_ms_of
from streamproc.contract.task_spec import SourceRef, Step, TaskSpec
from streamproc.errors import StoreUnavailableError

PROJECT = "proj_1"
TOTAL_FRAMES = 100
FPS = 10.0


def task_id(n: int) -> str:
    """A task id of November 2025; ids of other `n` differ."""
    return f"vt_01KAN7W000{n:016d}"


def target(track_id: int = 1, **fields: Any) -> Target:
    defaults = {"class_name": "pedestrian", "confidence": 0.5, "roi": Roi(10, 20, 30, 40)}
    return Target(track_id=track_id, **{**defaults, **fields})


def unit(*values: float) -> bytes:
    """A feature vector of 4 dimensions as records carry it; not normalised."""
    vector = np.zeros(4, "<f2")
    vector[: len(values)] = values
    return vector.tobytes()


class LogBuilder:
    """Writes one task's records the way a worker does; positions are given by `Partition`."""

    def __init__(self, task: str, project: str = PROJECT) -> None:
        self.task = task
        self.project = project
        self.end = 0
        self.seq = 0
        self.frame = -1
        self.n_frames = 0
        self.log = b""
        self.frame_event = frame_event
        """May be changed in the middle: logs have events of both orders."""

    def claim(
        self,
        *,
        time_ms: int = 0,
        worker: str = "w",
        attempts: tuple[Attempt, ...] = (),
        started_ms: int = 0,
    ) -> ChunkRecord:
        claim = Claim(worker, 0, "local", "f32", "CPU", attempts=attempts, started_ms=started_ms)
        value = msgspec.msgpack.encode(claim)
        return self._record("claim", value, frame=-1, time_ms=time_ms)

    def chunk(
        self,
        *targets: Target,
        frame: int | None = None,
        vectors: Sequence[TrackVector] = (),
        time_ms: int = 0,
        **info: Any,
    ) -> ChunkRecord:
        """Write a frame's chunk; `info` are further fields of its `StreamInfo`."""
        self.frame = self.frame + 1 if frame is None else frame
        self.n_frames += 1
        chunk = _with(self._chunk(targets, first=self.end == 0), info)
        record = self._record(
            "chunk",
            self.frame_event(encode_chunk(chunk), self.end),
            frame=self.frame,
            time_ms=time_ms,
            vectors=encode_vectors(vectors) if vectors else None,
        )
        return self._append(record)

    def notice(self, code: str = "source_timeout", **info: Any) -> ChunkRecord:
        """Write that a live source is lost; `info` are further fields of its `StreamInfo`."""
        info["source"] = Notice("lost", code, 3)
        chunk = _with(self._chunk((), first=self.end == 0), info)
        value = self.frame_event(encode_chunk(chunk), self.end)
        return self._append(self._record("chunk", value, frame=self.frame, time_ms=0))

    def terminal(
        self,
        reason: FinishReason = "stop",
        *,
        time_ms: int = 0,
        error: tuple[str, str] | None = None,
        dropped: Mapping[str, int] | None = None,
    ) -> ChunkRecord:
        chunk = msgspec.structs.replace(
            self._chunk((), first=self.end == 0),
            finish_reason=reason,
            usage=Usage(self.n_frames, 1200, self.n_frames, 0, 0, dict(dropped or {}) or UNSET),
        )
        if error is not None:
            chunk = msgspec.structs.replace(chunk, error=ChunkError(*error))
        first = self.frame_event(encode_chunk(chunk), self.end)
        value = first + self.frame_event(DONE, self.end + len(first))
        return self._append(self._record("terminal", value, frame=self.frame, time_ms=time_ms))

    def _append(self, record: ChunkRecord) -> ChunkRecord:
        self.log += record.value
        self.end += len(record.value)
        self.seq += 1
        return record

    def _record(
        self, kind: Kind, value: bytes, *, frame: int, time_ms: int, vectors: bytes | None = None
    ) -> ChunkRecord:
        return ChunkRecord(
            task=self.task,
            project=self.project,
            kind=kind,
            epoch=-1,
            seq=self.seq,
            off=self.end,
            frame=frame,
            pts=frame,
            value=value,
            vectors=vectors,
            time_ms=time_ms,
        )

    def _chunk(self, targets: Sequence[Target], *, first: bool) -> Chunk:
        return Chunk(
            id="mm-pipe-" + self.task[-8:],
            object="mm.pipeline.chunk",
            stream_info=StreamInfo(self.frame, TOTAL_FRAMES, self.n_frames, 0, FPS, 40),
            delta=Delta((Result(0, tuple(targets)),)),
            finish_reason=None,
            model="hint" if first else msgspec.UNSET,
            provider="local" if first else msgspec.UNSET,
        )


def _with(chunk: Chunk, info: Mapping[str, Any]) -> Chunk:
    return msgspec.structs.replace(
        chunk, stream_info=msgspec.structs.replace(chunk.stream_info, **info)
    )


class Partition:
    """A partition of video.chunks: gives records their offsets, as Kafka would."""

    def __init__(self) -> None:
        self.records: list[ChunkRecord] = []
        self._epochs: dict[str, int] = {}

    def write(self, record: ChunkRecord, *, epoch: int | None = None) -> ChunkRecord:
        """Append the record; `epoch` None is that of the task's last claim."""
        position = len(self.records)
        if record.kind == "claim":
            epoch = self._epochs[record.task] = position
        elif epoch is None:
            epoch = self._epochs[record.task]
        time_ms = record.time_ms or 1_800_000_000_000 + position
        written = msgspec.structs.replace(record, position=position, epoch=epoch, time_ms=time_ms)
        self.records.append(written)
        return written

    def write_all(self, *records: ChunkRecord) -> None:
        for record in records:
            self.write(record)


def submitted(task: str, project: str = PROJECT, **spec: Any) -> Submitted:
    defaults: dict[str, Any] = {
        "source": SourceRef(url="https://user:secret@videos.example.com/a/clip.mp4?sig=1"),
        "steps": (Step("detect", "detect@1"), Step("feature", "feature@2")),
        "model_hint": "hint",
    }
    return Submitted(
        task=task,
        project=project,
        partition=0,
        created_ms=created_ms_of(task) + 5,
        spec=TaskSpec(**{**defaults, **spec}),
        point=FoldPoint(position=0),
    )


class MemoryObjects:
    """The `Objects` boundary over a dict; `away` makes every request fail."""

    def __init__(self) -> None:
        self.stored: dict[str, tuple[bytes, dict[str, str]]] = {}
        self.stored_ms: dict[str, int] = {}
        self.n_lists = 0
        self.away = False

    def put_if_absent(self, key: str, body: bytes, metadata: Mapping[str, str]) -> bool:
        self._answer()
        if key in self.stored:
            return False
        self.stored[key] = (body, dict(metadata))
        return True

    def put(self, key: str, body: bytes) -> None:
        self._answer()
        self.stored[key] = (body, {})

    def head(self, key: str) -> ObjectHead | None:
        self._answer()
        found = self.stored.get(key)
        return None if found is None else ObjectHead(len(found[0]), found[1])

    def get(self, key: str) -> bytes | None:
        self._answer()
        found = self.stored.get(key)
        return None if found is None else found[0]

    def keys(self, prefix: str, after: str = "") -> Iterator[ListedObject]:
        self._answer()
        self.n_lists += 1
        for key in sorted(self.stored):
            if key.startswith(prefix) and key > after:
                yield ListedObject(key, len(self.stored[key][0]), self.stored_ms.get(key, 0))

    def delete(self, key: str) -> None:
        self._answer()
        self.stored.pop(key, None)

    def _answer(self) -> None:
        if self.away:
            raise StoreUnavailableError("S3 is away")
