"""Listing of a task's segments in S3, for the sinks."""

from collections.abc import Iterator

import msgspec

from streamproc.clients.object_store import Objects
from streamproc.contract.decoding import json_decoder
from streamproc.contract.object_keys import (
    MAX_SEGMENT_BYTES,
    Expired,
    expired_key,
    segment_key,
    segment_prefix,
    segment_start,
)
from streamproc.sinks.errors import DamagedLogError

_decode_expired = json_decoder(Expired)


def segments(
    store: Objects, project: str, task: str, *, near: int = 0
) -> Iterator[tuple[str, int, int]]:
    """Yield `(key, start, end)` of the task's segments, in order.

    `near`: a log offset; segments that end far before it are left out, and are not listed.
    Raises `DamagedLogError` if one does not start at the end of the previous one, unless the bytes
    between them have expired.
    """
    begin = near - MAX_SEGMENT_BYTES
    after = segment_key(project, task, begin) if begin >= 0 else ""
    end = None if after else 0
    expired: int | None = None
    for listed in store.keys(segment_prefix(project, task), after):
        start = segment_start(listed.key)
        if end is not None and start != end:
            if expired is None:
                expired = first_kept(store, project, task)
            if not end < start <= expired:
                raise DamagedLogError(f"a segment begins at byte {start}, not at {end}")
        end = start + listed.size
        yield listed.key, start, end


def first_kept(store: Objects, project: str, task: str) -> int:
    """Return the offset before which log bytes were deleted by age; raises `DamagedLogError`."""
    body = store.get(expired_key(project, task))
    if body is None:
        return 0
    try:
        expired: Expired = _decode_expired(body)
    except msgspec.DecodeError as exc:
        raise DamagedLogError(f"expired.json cannot be read: {exc}") from exc
    return expired.start
