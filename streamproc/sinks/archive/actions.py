"""The archiver's S3 actions, their outcomes, and the function that performs them (`perform`).

`{project}/{task}/vec/{start}` is written before `seg/{start}`. The first successful conditional PUT
of it fixes the segment's maximum end: a segment never has vectors that its sidecar lacks. A sidecar
may have more than its segment (if its writer crashed before the segment); its reader uses log
offsets, so nothing is counted twice.
"""

import hashlib
from collections import deque
from collections.abc import Iterator
from itertools import islice

import msgspec

from streamproc.clients.object_store import ObjectHead, Objects
from streamproc.contract.decoding import msgpack_decoder
from streamproc.contract.framing import parse_events
from streamproc.contract.object_keys import (
    Final,
    SegmentInfo,
    final_key,
    secret_key,
    segment_key,
    vectors_key,
)
from streamproc.errors import StoreUnavailableError
from streamproc.sinks.archive.live import live_options, mark
from streamproc.sinks.archive.segments import segments
from streamproc.sinks.errors import DamagedLogError

HEALTH_KEY = "health/archive"
_END = "end"


class VectorEntry(msgspec.Struct, frozen=True, array_like=True):
    """The vectors header of one record: `end` is the log offset after it."""

    end: int
    frame: int
    vectors: bytes


class Seed(msgspec.Struct, frozen=True):
    """Determine how far the task's log is archived, and whether it is a live task.

    `near`: a record that S3 may lack begins there, so S3 has all before it.
    """

    task: str
    project: str
    near: int = 0


class PutVectors(msgspec.Struct, frozen=True):
    """Store the vectors of log bytes `[start, end)`, before their segment."""

    task: str
    project: str
    start: int
    end: int
    entries: tuple[VectorEntry, ...]


class PutSegment(msgspec.Struct, frozen=True):
    """Store log bytes `[start, start + len(body))`; `info` is the fold after them."""

    task: str
    project: str
    start: int
    body: bytes
    info: SegmentInfo


class ReadLog(msgspec.Struct, frozen=True):
    """Read back an archived log of `length` bytes, whose start this process did not see.

    `whole` False: only its first and its last segment, without a hash.
    """

    task: str
    project: str
    length: int
    whole: bool = True


class PutFinal(msgspec.Struct, frozen=True):
    """Delete the source's secret and store `final.json`; all segments exist."""

    task: str
    project: str
    final: Final


class Seek(msgspec.Struct, frozen=True):
    """Read the partition again from `position`."""

    task: str
    position: int


class GiveUp(msgspec.Struct, frozen=True):
    """Report to the operator: the task's archive ends before Kafka offset `position`."""

    task: str
    reason: str
    project: str = ""
    position: int = -1
    code: str = "task_damaged"


StoreAction = Seed | PutVectors | PutSegment | ReadLog | PutFinal
Action = StoreAction | Seek | GiveUp


class Seeded(msgspec.Struct, frozen=True):
    """Bytes `[0, end)` are archived; `info` is the fold there, None if there are none."""

    task: str
    end: int
    info: SegmentInfo | None
    final: bool
    is_live: bool = False


class VectorsStored(msgspec.Struct, frozen=True):
    """The sidecar exists, ours or the winner's, and covers the log up to `end`."""

    task: str
    end: int


class SegmentStored(msgspec.Struct, frozen=True):
    """The segment exists, ours or the winner's, and ends at `end`."""

    task: str
    end: int
    info: SegmentInfo


class LogRead(msgspec.Struct, frozen=True):
    """Hash of the whole log, and the data of its first event and of its terminal chunk.

    `first` is empty if the log's first segment has expired; then there is no hash.
    """

    task: str
    sha256: str | None
    first: bytes
    terminal: bytes


class FinalStored(msgspec.Struct, frozen=True):
    task: str


class TaskDamaged(msgspec.Struct, frozen=True):
    """The archived data is inconsistent; `reason` is for the operator."""

    task: str
    reason: str


Outcome = Seeded | VectorsStored | SegmentStored | LogRead | FinalStored | TaskDamaged

_decode_entries = msgpack_decoder(tuple[VectorEntry, ...])


def encode_entries(entries: tuple[VectorEntry, ...]) -> bytes:
    return msgspec.msgpack.encode(entries)


def decode_entries(data: bytes) -> tuple[VectorEntry, ...]:
    """Decode; raises `DamagedLogError` on bytes that `encode_entries` did not write."""
    try:
        entries: tuple[VectorEntry, ...] = _decode_entries(data)
    except msgspec.DecodeError as exc:
        raise DamagedLogError(f"vectors cannot be read: {exc}") from exc
    return entries


def perform(store: Objects, action: StoreAction) -> Outcome:
    """Perform the action; idempotent.

    Raises `StoreUnavailableError`, or `ObjectRefusedError` if S3 rejects the request itself.
    """
    try:
        return _perform(store, action)
    except DamagedLogError as exc:
        return TaskDamaged(action.task, str(exc))


def takes_objects(store: Objects) -> bool:
    """Return whether the store accepts a test object; if so, a refusal is the task's fault."""
    try:
        store.put_if_absent(HEALTH_KEY, b"", {})
    except Exception:  # noqa: BLE001 - any error means that the store is at fault
        return False
    return True


def segment_info(head: ObjectHead) -> SegmentInfo:
    """Parse a segment's metadata; raises `DamagedLogError` if it is invalid."""
    try:
        return SegmentInfo.from_metadata(head.metadata)
    except (KeyError, ValueError) as exc:
        raise DamagedLogError(f"a segment's metadata cannot be read: {exc!r}") from exc


def edge_events(head: bytes, tail: bytes, tail_start: int) -> tuple[bytes, bytes]:
    """Return the data of a closed log's first event and of its terminal chunk.

    `head` starts at byte 0, or is empty, if that has expired: then there is no first event.
    `tail` (from byte `tail_start`, an event's first byte) ends the log.
    Raises `DamagedLogError` if the events are invalid.
    """
    try:
        first = next(parse_events(head), None)
        last = list(parse_events(tail, tail_start))[-2:]
    except ValueError as exc:
        raise DamagedLogError(str(exc)) from exc
    if (head and first is None) or len(last) != 2:  # the terminal chunk and [DONE]: one record
        raise DamagedLogError("a closed log without a terminal")
    return b"" if first is None else first.data, last[0].data


def _perform(store: Objects, action: StoreAction) -> Outcome:
    match action:
        case Seed():
            return _seed(store, action)
        case PutVectors():
            return _put_vectors(store, action)
        case PutSegment():
            return _put_segment(store, action)
        case ReadLog():
            return _read_log(store, action)
        case PutFinal():
            # First: once `final.json` exists, nothing would retry the deletion.
            store.delete(secret_key(action.project, action.task))
            body = msgspec.json.encode(action.final)
            store.put_if_absent(final_key(action.project, action.task), body, {})
            return FinalStored(action.task)


def _seed(store: Objects, action: Seed) -> Seeded:
    project, task = action.project, action.task
    last = deque(segments(store, project, task, near=action.near), maxlen=1)
    if not last and action.near:
        last = deque(segments(store, project, task), maxlen=1)
    key, _, end = last[0] if last else ("", 0, 0)
    info = segment_info(_existing(store.head(key))) if last else None
    if info is not None and info.closed and store.head(final_key(project, task)) is not None:
        return Seeded(task, end, info, final=True)
    options = live_options(store, project, task)
    if options is not None:
        mark(store, project, task, options)
    return Seeded(task, end, info, final=False, is_live=options is not None)


def _put_vectors(store: Objects, action: PutVectors) -> VectorsStored:
    key = vectors_key(action.project, action.task, action.start)
    body = encode_entries(action.entries)
    if store.put_if_absent(key, body, {_END: str(action.end)}):
        return VectorsStored(action.task, action.end)
    return VectorsStored(action.task, vectors_end(_existing(store.head(key))))


def vectors_end(head: ObjectHead) -> int:
    """Return the log offset up to which a sidecar covers; raises `DamagedLogError` without one."""
    try:
        return int(head.metadata[_END])
    except (KeyError, ValueError) as exc:
        raise DamagedLogError("a sidecar has no valid end offset") from exc


def _put_segment(store: Objects, action: PutSegment) -> SegmentStored:
    key = segment_key(action.project, action.task, action.start)
    if store.put_if_absent(key, action.body, action.info.to_metadata()):
        return SegmentStored(action.task, action.start + len(action.body), action.info)
    head = _existing(store.head(key))
    return SegmentStored(action.task, action.start + head.size, segment_info(head))


def _read_log(store: Objects, action: ReadLog) -> LogRead:
    digest = hashlib.sha256()
    head = tail = b""
    start = end = 0
    read = _all_segments if action.whole else _edge_segments
    for key, start, end in read(store, action):
        tail = store.get(key) or b""
        if len(tail) != end - start:
            raise DamagedLogError(f"the segment at byte {start} is not {end - start} bytes long")
        head = tail if start == 0 else head
        digest.update(tail)
    if end != action.length:
        raise DamagedLogError(f"the archived log has {end} bytes, not {action.length}")
    first, terminal = edge_events(head, tail, start)
    is_hashed = action.whole and head != b""
    return LogRead(action.task, digest.hexdigest() if is_hashed else None, first, terminal)


def _all_segments(store: Objects, action: ReadLog) -> Iterator[tuple[str, int, int]]:
    yield from segments(store, action.project, action.task)


def _edge_segments(store: Objects, action: ReadLog) -> Iterator[tuple[str, int, int]]:
    """Yield the log's first segment, unless it has expired, and its last one."""
    yield from islice(segments(store, action.project, action.task), 1)
    yield from deque(segments(store, action.project, action.task, near=action.length), maxlen=1)


def _existing(head: ObjectHead | None) -> ObjectHead:
    if head is None:
        raise StoreUnavailableError("an object vanished between two requests")
    return head
