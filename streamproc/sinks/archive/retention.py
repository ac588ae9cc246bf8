"""Deletion of live tasks' segments and pictures by age, in a thread of the archive role.

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
from streamproc.errors import SinkError
from streamproc.sinks.archive.live import LiveMark
from streamproc.sinks.archive.segments import first_kept
from streamproc.sinks.errors import DamagedLogError

_log = structlog.get_logger("framewire.archive")

DAY_MS = 86_400_000
SWEEP_S = 600.0
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
            kept_days = _days(store.get(listed.key))
            kept_days = days if kept_days is None else kept_days
            if kept_days > 0:
                n_deleted += expire(store, project, task, now_ms - kept_days * DAY_MS)
        except (DamagedLogError, ValueError) as exc:  # an object that no version wrote
            _log.warning("the log of a live task cannot be shortened", task=task, reason=str(exc))
    return n_deleted


def expire(store: Objects, project: str, task: str, before_ms: int) -> int:
    """Delete the task's segments that were stored before `before_ms`; return how many."""
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
    if kept is not None and not has_picture and _is_done(store, project, task, kept):
        store.delete(live_key(project, task))
    return len(old)


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


def _days(body: bytes | None) -> int | None:
    """Return the days in a mark; raises ValueError on another object's bytes."""
    try:
        mark: LiveMark = _decode_mark(body or b"{}")
    except msgspec.DecodeError as exc:
        raise ValueError(f"its mark cannot be read: {exc}") from exc
    return mark.retention_days
