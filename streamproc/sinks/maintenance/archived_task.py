"""Reads tasks from S3 only: requests, segments, `final.json`."""

import re
from collections.abc import Generator, Iterator
from typing import NamedTuple

import msgspec

from streamproc.clients.object_store import Objects
from streamproc.contract.decoding import json_decoder
from streamproc.contract.object_keys import (
    Final,
    SegmentInfo,
    final_key,
    request_key,
    vectors_key,
)
from streamproc.contract.records import FoldPoint, Submitted
from streamproc.contract.task_spec import TaskSpec
from streamproc.sinks.archive.actions import (
    VectorEntry,
    decode_entries,
    segment_info,
)
from streamproc.sinks.archive.segments import segments
from streamproc.sinks.errors import DamagedLogError

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
