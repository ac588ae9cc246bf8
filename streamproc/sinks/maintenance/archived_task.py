"""Reads tasks from S3 only: the data source of `reindex` and `verify`."""

import hashlib
import re
from collections.abc import Generator, Iterator
from typing import NamedTuple

import msgspec

from streamproc.clients.object_store import Objects
from streamproc.contract.decoding import json_decoder
from streamproc.contract.object_keys import (
    MAX_HASHED_BYTES,
    Final,
    SegmentInfo,
    final_key,
    linked,
    request_key,
    vectors_key,
)
from streamproc.contract.records import FoldPoint, Submitted
from streamproc.contract.task_spec import TaskSpec
from streamproc.sinks.archive.actions import (
    VectorEntry,
    decode_entries,
    edge_events,
    segment_info,
)
from streamproc.sinks.archive.final import final_of
from streamproc.sinks.archive.segments import segments
from streamproc.sinks.errors import DamagedLogError
from streamproc.sinks.index.task import IndexedTask

_REQUEST = re.compile(r"^(?P<project>[^/]+)/(?P<task>[^/]+)/request\.json$")
_FOLDER_PARTS = 3
_MAX_LISTED = 1000
"""A page of S3: going on behind a folder costs no more than the folder's next page."""


class StoredRequest(msgspec.Struct, frozen=True):
    """`request.json`, the fields that the sinks read; the api writes it on POST."""

    task: str
    project: str
    partition: int
    created_ms: int
    point: FoldPoint
    spec: TaskSpec

    def submitted(self) -> Submitted:
        return Submitted(
            task=self.task,
            project=self.project,
            partition=self.partition,
            created_ms=self.created_ms,
            spec=self.spec,
            point=self.point,
        )


class Segment(NamedTuple):
    """Log bytes `[start, start + len(body))`, the fold after them, and their records' vectors."""

    start: int
    body: bytes
    info: SegmentInfo
    entries: tuple[VectorEntry, ...]

    @property
    def end(self) -> int:
        return self.start + len(self.body)


_decode_request = json_decoder(StoredRequest)
_decode_final = json_decoder(Final)


def archived_tasks(store: Objects) -> Iterator[tuple[str, str]]:
    """Yield `(project, task)` of each task with a request, ordered by key.

    Of a task's log, vectors, recordings and pictures, only the first `_MAX_LISTED` keys are listed.
    """
    after: str | None = ""
    while after is not None:
        after = yield from _requests(store, after)


def _requests(store: Objects, after: str) -> Generator[tuple[str, str], None, str | None]:
    """Yield tasks with a key above `after`; return where to go on, None at the end."""
    folder, n_listed = "", 0
    for listed in store.keys("", after):
        match = _REQUEST.match(listed.key)
        if match is not None:
            yield match["project"], match["task"]
            continue
        *parts, name = listed.key.split("/", 3)
        if len(parts) < _FOLDER_PARTS or not name:
            continue
        below = "/".join(parts)
        folder, n_listed = below, n_listed + 1 if below == folder else 1
        if n_listed > _MAX_LISTED:
            return below + "0"  # the character after the slash: above all keys of the folder
    return None


def read_request(store: Objects, project: str, task: str) -> StoredRequest:
    """Read a request; raises `DamagedLogError` if it is unreadable or another task's."""
    body = store.get(request_key(project, task))
    try:
        request = _decode_request(body or b"")
    except msgspec.DecodeError as exc:
        raise DamagedLogError(f"request.json cannot be read: {exc}") from exc
    if (request.project, request.task) != (project, task):
        raise DamagedLogError("request.json is another task's")
    return request


def read_segments(store: Objects, project: str, task: str) -> Iterator[Segment]:
    """Yield the task's segments in order; raises `DamagedLogError` if they are inconsistent."""
    for key, start, end in segments(store, project, task):
        body = store.get(key) or b""
        head = store.head(key)
        if head is None or len(body) != end - start:
            raise DamagedLogError(f"the segment at byte {start} is not {end - start} bytes long")
        sidecar = store.get(vectors_key(project, task, start))
        entries = decode_entries(sidecar) if sidecar is not None else ()
        yield Segment(start, body, segment_info(head), entries)


def read_final(store: Objects, project: str, task: str) -> Final | None:
    """Return `final.json`, None if it does not exist; raises `DamagedLogError`."""
    body = store.get(final_key(project, task))
    if body is None:
        return None
    try:
        return _decode_final(body)
    except msgspec.DecodeError as exc:
        raise DamagedLogError(f"final.json cannot be read: {exc}") from exc


def rebuild(store: Objects, project: str, task: str) -> IndexedTask:
    """Rebuild the task's rows from S3, and check every byte.

    A log whose beginning has expired is read from its first segment on. Raises `DamagedLogError` on
    inconsistencies: gaps, invalid events, a wrong hash.
    """
    indexed = IndexedTask(project, task)
    indexed.submit(read_request(store, project, task).submitted())
    digest = hashlib.sha256()
    final = read_final(store, project, task)
    first = last = None
    for segment in read_segments(store, project, task):
        if last is not None and last.info.closed:
            raise DamagedLogError("the log continues after its terminal")
        _check_digests(last, segment)
        first, last = first or segment, segment
        digest.update(segment.body)
        _add(indexed, segment, final)
    if final is not None and (last is None or not last.info.closed):
        raise DamagedLogError("final.json exists, but the log is not closed")
    if first is not None and last is not None and last.info.closed:
        _check_final(final, first, last, digest.hexdigest())
    return indexed


def _add(indexed: IndexedTask, segment: Segment, final: Final | None) -> None:
    info = segment.info
    if indexed.row.started_ms is None:
        indexed.set_fields(started_ms=info.started_ms, status="running", provider=info.provider)
    finished_ms = final.finished_ms if final is not None else info.started_ms
    try:
        indexed.add_bytes(segment.body, segment.start, epoch=info.epoch, time_ms=finished_ms)
        for entry in segment.entries:
            if segment.start < entry.end <= segment.end:
                indexed.add_vectors(entry)
    except (ValueError, msgspec.DecodeError) as exc:
        raise DamagedLogError(str(exc)) from exc
    if indexed.row.log_length != segment.end:
        raise DamagedLogError(f"the segment at byte {segment.start} ends inside an event")
    indexed.set_fields(log_epoch=info.epoch, log_position=info.next_position)


def _check_digests(before: Segment | None, segment: Segment) -> None:
    """Compare the segment's bytes with its digest, and its chain with that of the one before.

    Segments of older versions have neither.
    """
    info = segment.info
    if not info.digest:
        return
    if hashlib.sha256(segment.body).hexdigest() != info.digest:
        raise DamagedLogError(f"the segment at byte {segment.start} has another hash")
    if segment.start != (0 if before is None else before.end):
        return  # the chain before it has expired
    chain = "" if before is None else before.info.chain
    if info.chain != (linked(chain, info.digest) if before is None or chain else ""):
        raise DamagedLogError(f"the segment at byte {segment.start} does not continue the chain")


def _check_final(final: Final | None, first: Segment, last: Segment, sha256: str | None) -> None:
    if final is None:
        raise DamagedLogError("a closed log without final.json")
    head, terminal = edge_events(b"" if first.start else first.body, last.body, last.start)
    is_chained = final.sha256 is None and last.end > MAX_HASHED_BYTES and last.info.chain != ""
    if first.start or is_chained:
        sha256 = final.sha256  # cannot be computed any more, or is the chain that was checked
    expected = final_of(
        first=head,
        terminal=terminal,
        length=last.end,
        sha256=sha256,
        started_ms=final.started_ms,
        finished_ms=final.finished_ms,
        attempts=last.info.attempts,
        chain=last.info.chain,
        provider=last.info.provider,
    )
    if final != expected:
        wrong = [
            name
            for name in final.__struct_fields__
            if getattr(final, name) != getattr(expected, name)
        ]
        raise DamagedLogError(f"final.json is wrong in {', '.join(wrong)}")
