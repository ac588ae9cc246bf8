"""Deletion of live tasks' segments, pictures and recordings by age, in the archive role's thread.

A log keeps its offsets: `expired.json` says where it begins now, and is written before its segments
are deleted. The age of a segment is the time since it was stored. The last one is kept: it says how
the log goes on, or that it is closed. Any number of processes may do this at the same time.
"""

import threading
import time
from collections.abc import Callable, Iterator

import msgspec
import structlog

from streamproc.clients.object_store import ListedObject, Objects
from streamproc.contract.decoding import json_decoder
from streamproc.contract.object_keys import (
    LIVE,
    Expired,
    expired_key,
    final_key,
    latest_key,
    live_key,
    live_task,
    segment_prefix,
    segment_start,
    vectors_key,
)
from streamproc.contract.recordings import recording_prefix
from streamproc.errors import SinkError
from streamproc.sinks.archive.live import LiveMark
from streamproc.sinks.archive.segments import first_kept
from streamproc.sinks.errors import DamagedLogError

_log = structlog.get_logger("framewire.archive")

DAY_MS = 86_400_000
SWEEP_S = 600.0
LATE_PIECE_MS = 600_000
"""A worker stores no piece of a recording later than this after the end of its task."""
FIRST_SWEEP_S = 30.0
_LEAVE_S = 5.0

_decode_mark = json_decoder(LiveMark)


class Retention:
    """Deletes old segments every `SWEEP_S` in a thread, until `stop` is set."""

    def __init__(self, store: Objects, days: int, stop: threading.Event) -> None:
        """`days`: for tasks that do not say how long they are kept; 0: for ever."""
        self._store, self._days, self._stop = store, days, stop
        self._thread = threading.Thread(target=self._run, name="retention", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def join(self) -> None:
        """Wait a limited time for the thread, after `stop` is set: S3 may hang."""
        self._thread.join(_LEAVE_S)

    def _run(self) -> None:
        pause_s = FIRST_SWEEP_S
        while not self._stop.wait(pause_s):
            pause_s = SWEEP_S
            try:
                sweep(self._store, self._days, round(time.time() * 1000), self._stop.is_set)
            except SinkError as exc:
                _log.warning("expired segments cannot be deleted now", reason=str(exc))
            except Exception:  # noqa: BLE001 - a thread's edge: the log has the reason
                _log.exception("unexpected failure")


def sweep(
    store: Objects, days: int, now_ms: int, is_over: Callable[[], bool] = lambda: False
) -> int:
    """Delete the expired segments of every live task; return how many.

    A task whose archive cannot be read is left as it is. Raises `StoreUnavailableError`.
    """
    n_deleted = 0
    for listed in store.keys(LIVE):
        place = live_task(listed.key)
        if is_over():
            break
        if place is None:
            continue
        project, task = place
        try:
            mark = _mark(store.get(listed.key))
            is_recorded = mark.record_s is not None and expire_recording(
                store, project, task, now_ms - mark.record_s * 1000
            )
            late_ms = 0 if mark.record_s is None else LATE_PIECE_MS
            kept_days = days if mark.retention_days is None else mark.retention_days
            if kept_days > 0:
                before_ms = now_ms - kept_days * DAY_MS
                n_deleted += expire(
                    *(store, project, task, before_ms),
                    is_recorded=is_recorded,
                    ended_before_ms=now_ms - late_ms,
                )
        except (DamagedLogError, ValueError) as exc:  # an object that no version wrote
            _log.warning("the log of a live task cannot be shortened", task=task, reason=str(exc))
    return n_deleted


def expire(
    store: Objects,
    project: str,
    task: str,
    before_ms: int,
    *,
    is_recorded: bool,
    ended_before_ms: int,
) -> int:
    """Delete the task's segments that were stored before `before_ms`; return how many.

    The mark of a task that has ended goes with the last of them; not while it `is_recorded`, and
    not if its last segment was not stored before `ended_before_ms`: pieces may still arrive.
    """
    listed = store.keys(segment_prefix(project, task))
    old, kept = _split(listed, before_ms)
    if old and kept is not None:
        start = max(segment_start(kept.key), first_kept(store, project, task))
        store.put(expired_key(project, task), msgspec.json.encode(Expired(start)))
        for segment in old:
            # The vectors first: without their segment, nothing would find them again.
            store.delete(vectors_key(project, task, segment_start(segment.key)))
            store.delete(segment.key)
        _log.info("expired segments deleted", task=task, n_segments=len(old), start=start)
    has_picture = _expire_picture(store, project, task, before_ms)
    if kept is None or has_picture or is_recorded or kept.stored_ms > ended_before_ms:
        return len(old)
    if _is_done(store, project, task, kept):
        store.delete(live_key(project, task))
    return len(old)


def expire_recording(store: Objects, project: str, task: str, before_ms: int) -> bool:
    """Delete the pieces that were stored before `before_ms`; return whether there are others."""
    for piece in store.keys(recording_prefix(project, task)):
        if piece.stored_ms >= before_ms:
            return True
        store.delete(piece.key)
    return False


def _split(
    listed: Iterator[ListedObject], before_ms: int
) -> tuple[list[ListedObject], ListedObject | None]:
    """Return the segments to delete, and the first one that is kept; the last one always is."""
    old: list[ListedObject] = []
    last: ListedObject | None = None
    for segment in listed:
        if last is not None:
            old.append(last)
        last = segment
        if segment.stored_ms >= before_ms:
            break
    return old, last


def _expire_picture(store: Objects, project: str, task: str, before_ms: int) -> bool:
    """Delete the task's last picture if it is that old; return whether there still is one.

    The picture of a source that is live is replaced all the time.
    """
    key = latest_key(project, task)
    found = next((one for one in store.keys(key) if one.key == key), None)
    if found is None or found.stored_ms >= before_ms:
        return found is not None
    store.delete(key)
    return False


def _is_done(store: Objects, project: str, task: str, kept: ListedObject) -> bool:
    """Return whether no segment will ever be deleted: the task has ended, and one is left."""
    following = next(store.keys(segment_prefix(project, task), kept.key), None)
    return following is None and store.head(final_key(project, task)) is not None


def _mark(body: bytes | None) -> LiveMark:
    """Return a task's mark; raises ValueError on another object's bytes."""
    try:
        mark: LiveMark = _decode_mark(body or b"{}")
    except msgspec.DecodeError as exc:
        raise ValueError(f"its mark cannot be read: {exc}") from exc
    return mark
