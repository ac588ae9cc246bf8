"""Kafka record schemas of all topics, and encoding and decoding of chunk records.

`video.tasks`    key task id, value a tagged msgpack `Submitted` or `Continue`
`video.live`     the same, of live tasks
`video.chunks`   key task id, value log bytes (claims: msgpack `Claim`), headers as `ChunkRecord`
`video.control`  key task id, value msgpack `CancelRequested`
`video.projects` key `project/<id>`, `key/<sha256 hex>`, `end/<sha256 hex>` or `use/<sha256 hex>`,
                 value msgpack `Project`, `ProjectKey`, `KeyEnd` or `KeyUse`
`video.dlq`      key task id, value msgpack `DeadLetter`
`video.audit`    key actor, value msgpack `contract.audit.AuditRecord`
`video.workers`  key worker id or `consumer/<role>/<process>`, value msgpack `WorkerBeat` or
                 `ConsumerBeat`
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Final, Literal

import msgspec
from crc32c import crc32c

from streamproc.contract.bounds import MAX_COUNT, MAX_INT64, clamped
from streamproc.contract.decoding import msgpack_decoder
from streamproc.contract.lag_counts import LagCounts
from streamproc.contract.sandbox import Sandbox
from streamproc.contract.task_spec import TaskSpec
from streamproc.contract.topics import LIVE, TASKS

Kind = Literal["claim", "chunk", "terminal"]
_KINDS: dict[bytes, Kind] = {b"claim": "claim", b"chunk": "chunk", b"terminal": "terminal"}

Header = tuple[str, bytes]
Headers = Iterable[tuple[str, bytes | str | None]] | Mapping[str, bytes | str | None] | None


class BadRecordError(ValueError):
    """A Kafka message is not a valid record: it is skipped and counted, never guessed at."""


class FoldPoint(msgspec.Struct, frozen=True):
    """A valid state of a task's fold, as every reader has it just before Kafka offset `position`.

    Reading video.chunks from `position` on with this state gives the same fold as reading from
    the beginning. `ckpt_position` is the offset of the last accepted record with a checkpoint.
    """

    position: int
    epoch: int = -1
    next_off: int = 0
    next_seq: int = 0
    last_frame: int = -1
    ckpt_position: int | None = None


class Submitted(msgspec.Struct, frozen=True, tag="submitted"):
    """A task was accepted. `point.position` is before the task's first record.

    `weight` is the project's share of the workers at that time, relative to the default of 1.
    """

    task: str
    project: str
    partition: int
    created_ms: int
    spec: TaskSpec
    point: FoldPoint
    weight: float = 1.0

    @property
    def topic(self) -> str:
        """The topic of the task's messages."""
        return TASKS if self.spec.live is None else LIVE


class Attempt(msgspec.Struct, frozen=True):
    """One try of one provider that ended before the first chunk."""

    provider: str
    code: str
    message: str


class Claim(msgspec.Struct, frozen=True):
    """A worker claims a task's slice: from this record on, only its epoch may write the log.

    `precision` is the value of `auto` resolved at the first claim, so that a resume elsewhere
    computes the same numbers. `parent` is the epoch of the slice whose message started this one, -1
    for a submission; with `slice` it forms the claim's rank (`worker.task_state`).
    `attempts` are the providers that failed before this one, oldest first. `life` is the start time
    of the worker's process (`WorkerBeat.started_ms`): with the worker's name it identifies one
    process. `alone`: no other slice ran in that process at the time (`worker.shared_lock`).
    `started_ms`: the time of the task's first claim; 0 in that one, and in those of older versions.
    """

    worker: str
    slice: int
    provider: str
    precision: str
    device: str
    parent: int = -1
    attempts: tuple[Attempt, ...] = ()
    life: int = 0
    alone: bool = False
    started_ms: int = 0


class Continue(msgspec.Struct, frozen=True, tag="continue"):
    """A slice ended and the task continues. Carries the submission, so no lookup is needed.

    `point` is the fold just after the claim of the slice that wrote this message, `parent` that
    claim's epoch, `claim` its content. `started_ms` is the time of the task's first claim.
    """

    submitted: Submitted
    slice: int
    point: FoldPoint
    parent: int
    claim: Claim
    started_ms: int


TaskMessage = Submitted | Continue


class CancelRequested(msgspec.Struct, frozen=True):
    task: str
    project: str
    requested_ms: int


class ProjectLimits(msgspec.Struct, frozen=True, kw_only=True):
    """A project's own limits; None: the api's setting applies, 0: no limit.

    Readers clamp them to `bounds.MAX_LIMIT`: a large number must not make a project's record
    invalid. `weight` is not a limit but the project's share of the workers, relative to the default
    of 1.
    """

    submissions_per_minute: int | None = None
    open_streams: int | None = None
    upload_bytes_per_day: int | None = None
    stored_bytes: int | None = None
    open_tasks: int | None = None
    weight: int | None = None


class Project(msgspec.Struct, frozen=True):
    id: str
    name: str
    created_ms: int
    limits: ProjectLimits = ProjectLimits()


class ProjectKey(msgspec.Struct, frozen=True):
    """A project's API key: only its SHA-256 is stored. `prefix` is shown in lists.

    Written when the key is created and again when it is revoked, and at no other time: a late
    writer must not undo a revocation. `scopes` None: written before scopes existed. `replaces` is
    the id of the key that it replaces.
    """

    hash: str
    project: str
    name: str
    prefix: str
    created_ms: int
    revoked: bool = False
    scopes: tuple[str, ...] | None = None
    expires_ms: int | None = None
    replaces: str | None = None


class KeyEnd(msgspec.Struct, frozen=True):
    """A key ends at `ends_ms`, apart from its own expiry; `replaced_by` is its successor's id."""

    hash: str
    ends_ms: int
    replaced_by: str | None = None


class KeyUse(msgspec.Struct, frozen=True):
    """A key was last used at about `used_ms`."""

    hash: str
    used_ms: int


class DeadLetter(msgspec.Struct, frozen=True):
    """Dead-letter record: a task that a role ended, or a record that it skipped.

    `role` wrote it. `topic`, `partition` and `position` are the record's Kafka offset, or that of
    the end of its batch; -1 if unknown. `task` is empty if a record names none.
    """

    task: str
    project: str
    code: str
    message: str
    dead_ms: int
    role: str = "worker"
    topic: str = ""
    partition: int = -1
    position: int = -1


PictureResult = Literal["stored", "busy", "too_large", "no_store", "failed"]
"""`busy`: left out because the one before was not stored yet; `failed`: it was not encoded."""

LIVE_STATES: Final = ("connecting", "live", "lost")


RecordingResult = Literal["stored", "busy", "no_store", "failed"]
"""`busy`: no memory for it, since S3 is too slow; `no_store`: S3 did not take it in time."""


class RecordingState(msgspec.Struct, frozen=True):
    """What a worker has recorded of a live source since it opened it.

    `size_bytes`: of the video in stored pieces. `lost_pictures`: those of `lost_pieces`, and those
    that were in no piece. `last_ms`: when the newest stored picture was captured, Unix ms.
    """

    pieces: int = 0
    size_bytes: int = 0
    lost_pieces: int = 0
    lost_pictures: int = 0
    last_ms: int | None = None


class LiveSourceState(msgspec.Struct, frozen=True):
    """A live source at a worker's heartbeat.

    `state`: `connecting` before its first frame, then `live` or `lost`, since `since_ms`; `code` is
    why it is not live. `reconnects`: sessions after the first. `fps`: processed frames per second
    over about ten seconds. `lag_ms`: of the last frame. `keyframe_interval_s`: between the last two
    keyframes. `recording`: None if the task is not recorded. Times are Unix ms.
    """

    task: str
    state: str
    since_ms: int
    code: str | None = None
    reconnects: int = 0
    last_frame_ms: int | None = None
    fps: float = 0.0
    lag_ms: int | None = None
    keyframe_interval_s: float | None = None
    recording: RecordingState | None = None


class WorkerBeat(msgspec.Struct, frozen=True):
    """A worker's heartbeat; `fps`: frames processed per second over about ten seconds.

    `sandbox`: the sandbox of its decoders, None if unknown.
    `standing` and `waiting_for` are as in `ConsumerBeat`, but for video.tasks.
    `waiting_for_store`: number of tasks that wait outside of the slots because S3 is unavailable.
    `device` is the one that computes. `device_fault`: why the worker computes nothing.
    `cpu_percent`: CPU time of the worker's process since the heartbeat before, 100 is one core.
    `live_slots` and `live_busy` are as `slots` and `busy`, for live tasks alone, `live` are the
    sources of those. `dropped`: frames of live tasks that were not processed, by
    `chunk.DropReason`, since the process started. `sources`: names of the sources that it knows.
    `pictures`: pictures of live tasks, by what became of them (`PictureResult`), since then too;
    `recordings`: pieces of their recordings (`RecordingResult`). `lags`: their frames by lag, None:
    not counted.
    """

    worker: str
    host: str
    pid: int
    started_ms: int
    beat_ms: int
    device: str
    precision: str
    models: tuple[str, ...]
    slots: int
    busy: int
    fps: float
    processed_frames: int
    partitions: tuple[int, ...] = ()
    rss_bytes: int = 0
    sandbox: Sandbox | None = None
    standing: tuple[int, ...] = ()
    waiting_for: str | None = None
    waiting_for_store: int = 0
    device_fault: str | None = None
    cpu_percent: float | None = None
    live_slots: int = 0
    live_busy: int = 0
    live: tuple[LiveSourceState, ...] = ()
    dropped: dict[str, int] = msgspec.field(default_factory=dict)
    sources: tuple[str, ...] = ()
    pictures: dict[str, int] = msgspec.field(default_factory=dict)
    recordings: dict[str, int] = msgspec.field(default_factory=dict)
    lags: LagCounts | None = None


CONSUMER_KEY = "consumer/"
"""Key prefix of `ConsumerBeat`s on video.workers, which also has the workers' keys."""


class ConsumerBeat(msgspec.Struct, frozen=True):
    """A heartbeat of a role that reads video.chunks in a group: `archive` or `index`.

    `standing`: stalled partitions, with waiting records but no read within the watchdog's limit.
    `waiting_for`: what it waits for on purpose, such as its store; then no partition is stalled.
    `n_renewals`: how often its consumer was recreated since the process started.
    `cpu_percent`: CPU time of its process since the heartbeat before, 100 is one core. Of an index
    in the api's process (chDB) both figures are the api's.
    """

    role: str
    host: str
    pid: int
    started_ms: int
    beat_ms: int
    partitions: tuple[int, ...]
    standing: tuple[int, ...] = ()
    waiting_for: str | None = None
    n_renewals: int = 0
    cpu_percent: float | None = None
    rss_bytes: int = 0


class ChunkRecord(msgspec.Struct, frozen=True):
    """One record of video.chunks.

    `value` is log bytes at `[off, off + len(value))`, for claims a msgpack `Claim`. `epoch` is the
    Kafka offset of the writer's claim (a claim's own `position`). `frame` and `pts` are of the
    processed frame, -1 if there is none. `position` is the record's Kafka offset, -1 before it is
    written; `time_ms` is its Kafka timestamp. `ckpt`, `vectors` and `pin` are headers: checkpoint,
    feature vectors, the source's fingerprint (first chunk only).
    """

    task: str
    project: str
    kind: Kind
    epoch: int
    seq: int
    off: int
    frame: int
    pts: int
    value: bytes
    ckpt: bytes | None = None
    vectors: bytes | None = None
    pin: bytes | None = None
    position: int = -1
    time_ms: int = 0

    @property
    def end(self) -> int:
        """The log offset just after this record; a claim adds nothing to the log."""
        return self.off if self.kind == "claim" else self.off + len(self.value)

    def headers(self) -> list[Header]:
        """Return the Kafka headers, numbers as decimal text."""
        out: list[Header] = [
            ("kind", self.kind.encode()),
            ("project", self.project.encode()),
            ("epoch", b"%d" % self.epoch),
            ("seq", b"%d" % self.seq),
            ("off", b"%d" % self.off),
            ("frame", b"%d" % self.frame),
            ("pts", b"%d" % self.pts),
            ("crc32c", b"%08x" % checksum(self.value)),
        ]
        out.extend(
            (name, data)
            for name, data in (("ckpt", self.ckpt), ("vec", self.vectors), ("pin", self.pin))
            if data is not None
        )
        return out


def read_chunk_record(
    *,
    key: bytes | None,
    value: bytes | None,
    headers: Headers,
    position: int,
    time_ms: int,
) -> ChunkRecord:
    """Decode a Kafka message of video.chunks.

    A claim's epoch is its own position; its header is ignored. `frame` and `pts` are clamped to the
    storable range. Raises `BadRecordError` if a header is missing, the checksum does not match, or
    a log position is invalid.
    """
    pairs = headers.items() if isinstance(headers, Mapping) else headers or ()
    found = {name: data for name, data in pairs if isinstance(data, bytes)}
    try:
        kind = _KINDS[found["kind"]]
        if key is None or value is None:
            raise BadRecordError(f"record without key or value at offset {position}")
        if int(found["crc32c"], 16) != checksum(value):
            raise BadRecordError(f"checksum does not fit at offset {position}")
        return ChunkRecord(
            task=key.decode(),
            project=found["project"].decode(),
            kind=kind,
            epoch=position if kind == "claim" else _place(found["epoch"], least=-1),
            seq=_place(found["seq"]),
            off=_place(found["off"]),
            frame=clamped(int(found["frame"]), -1, MAX_COUNT),
            pts=clamped(int(found["pts"]), -MAX_INT64, MAX_INT64),
            value=value,
            ckpt=found.get("ckpt"),
            vectors=found.get("vec"),
            pin=found.get("pin"),
            position=position,
            time_ms=time_ms,
        )
    except (KeyError, UnicodeDecodeError) as exc:
        raise BadRecordError(f"not a chunk record at offset {position}: {exc!r}") from exc
    except ValueError as exc:
        raise BadRecordError(str(exc)) from exc


class TrackVector(msgspec.Struct, frozen=True, array_like=True):
    """A track's feature vector as of one chunk: little-endian float16, shape (n,)."""

    track_id: int
    confidence: float
    vector: bytes


_decode_vectors = msgpack_decoder(tuple[TrackVector, ...])
_decode_task = msgpack_decoder(Submitted | Continue)
_decode_claim = msgpack_decoder(Claim)


def encode_vectors(vectors: Sequence[TrackVector]) -> bytes:
    return msgspec.msgpack.encode(tuple(vectors))


def decode_vectors(data: bytes) -> tuple[TrackVector, ...]:
    """Decode feature vectors; raises `msgspec.DecodeError` on other bytes."""
    vectors: tuple[TrackVector, ...] = _decode_vectors(data)
    return vectors


def decode_claim(value: bytes) -> Claim | None:
    """Decode the claim in a record's value; None if it cannot be decoded.

    The record still counts as a claim: the fold needs only its epoch.
    """
    try:
        claim: Claim = _decode_claim(value)
    except msgspec.DecodeError:
        return None
    return claim


def started_ms(record: ChunkRecord) -> int:
    """Return when a task started, by the first of its records that a reader sees.

    Earlier claims may be behind the reader's start: a later one says when the first was.
    """
    claim = decode_claim(record.value) if record.kind == "claim" else None
    stated_ms = 0 if claim is None else claim.started_ms
    return min(stated_ms, record.time_ms) if stated_ms > 0 else record.time_ms


def encode_task_message(message: TaskMessage) -> bytes:
    return msgspec.msgpack.encode(message)


def decode_task_message(data: bytes) -> TaskMessage:
    """Decode a task message; raises `BadRecordError` on other bytes."""
    try:
        message: TaskMessage = _decode_task(data)
    except msgspec.DecodeError as exc:
        raise BadRecordError(f"not a task message: {exc}") from exc
    return message


def _place(text: bytes, *, least: int = 0) -> int:
    place = int(text)
    if not least <= place <= MAX_INT64:
        raise ValueError("a header names no place in a log")
    return place


def checksum(value: bytes) -> int:
    """Return the record checksum of `value` (CRC-32C, header `crc32c`)."""
    return int(crc32c(value))
