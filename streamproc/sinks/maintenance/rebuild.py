"""Rebuilds a task's rows from S3 only, a part of its log at a time: what `reindex` and `verify` do.

Memory does not grow with the length of a live task's log.
"""

import hashlib
from collections.abc import Iterator

import msgspec

from streamproc.clients.object_store import Objects
from streamproc.contract.object_keys import MAX_HASHED_BYTES, Final, linked
from streamproc.contract.tables import DETECTIONS, EMBEDDINGS, TASKS, TRACKS, DetectionRow
from streamproc.sinks.archive.actions import edge_events
from streamproc.sinks.archive.final import final_of
from streamproc.sinks.errors import DamagedLogError
from streamproc.sinks.index.task import IndexedTask, TaskRows
from streamproc.sinks.maintenance.archived_task import (
    Segment,
    read_final,
    read_request,
    read_segments,
)
from streamproc.sinks.maintenance.track_file import TrackFile

ROWS_AT_ONCE = {DETECTIONS: 10_000, TRACKS: 2000, EMBEDDINGS: 500, TASKS: 1}
"""Rows of each table that are in memory together, some MiB; a vector has hundreds of numbers."""


def rebuild(store: Objects, project: str, task: str) -> Iterator[TaskRows]:
    """Yield the task's rows in the write order of their tables, about `ROWS_AT_ONCE` together.

    The last ones are the task's own row alone: only then every byte has been checked. A log whose
    beginning has expired is read from its first segment on. Raises `DamagedLogError` on
    inconsistencies: gaps, invalid events, a wrong hash.
    """
    indexed = IndexedTask(project, task)
    indexed.submit(read_request(store, project, task).submitted())
    digest = hashlib.sha256()
    final = read_final(store, project, task)
    first = last = None
    rows = indexed.take_rows()
    detections: list[DetectionRow] = []
    with TrackFile() as tracks:
        for segment in read_segments(store, project, task):
            if last is not None and last.info.closed:
                raise DamagedLogError("the log continues after its terminal")
            _check_digests(last, segment)
            first, last = first or segment, segment
            digest.update(segment.body)
            rows = _add(indexed, tracks, segment, final)
            detections += rows.detections
            if len(detections) >= ROWS_AT_ONCE[DETECTIONS]:
                yield TaskRows(detections, [], [], [])
                detections = []
        if final is not None and (last is None or not last.info.closed):
            raise DamagedLogError("final.json exists, but the log is not closed")
        if first is not None and last is not None and last.info.closed:
            _check_final(final, first, last, digest.hexdigest())
        yield TaskRows(detections, [], [], [])
        for embeddings in tracks.embeddings(ROWS_AT_ONCE[EMBEDDINGS]):
            yield TaskRows([], embeddings, [], [])
        for some in tracks.tracks(ROWS_AT_ONCE[TRACKS]):
            yield TaskRows([], [], some, [])
    yield TaskRows([], [], [], rows.tasks)


def _add(
    indexed: IndexedTask, tracks: TrackFile, segment: Segment, final: Final | None
) -> TaskRows:
    """Fold the segment; return what changed. Tracks that were not seen for long go to the file."""
    info = segment.info
    if indexed.row.started_ms is None:
        indexed.set_fields(started_ms=info.started_ms, status="running", provider=info.provider)
    finished_ms = final.finished_ms if final is not None else info.started_ms
    try:
        if ids := indexed.evicted_in(segment.body, segment.start):
            indexed.restore(*tracks.get(ids))
        indexed.add_bytes(segment.body, segment.start, epoch=info.epoch, time_ms=finished_ms)
        for entry in segment.entries:
            if segment.start < entry.end <= segment.end:
                indexed.add_vectors(entry)
    except (ValueError, msgspec.DecodeError) as exc:
        raise DamagedLogError(str(exc)) from exc
    if indexed.row.log_length != segment.end:
        raise DamagedLogError(f"the segment at byte {segment.start} ends inside an event")
    indexed.set_fields(log_epoch=info.epoch, log_position=info.next_position)
    rows = indexed.take_rows()
    tracks.put(rows.tracks, rows.embeddings)
    indexed.evict()
    return rows


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
