"""What is different in the archive of a live task: fewer, larger segments, and a mark."""

import msgspec

from streamproc.clients.object_store import Objects
from streamproc.contract.decoding import json_decoder
from streamproc.contract.object_keys import live_key, request_key
from streamproc.contract.task_spec import LiveOptions

FLUSH_AFTER_S = 1.0
LIVE_FLUSH_AFTER_S = 30.0
LIVE_PAIR_AFTER_S = 70.0
"""For a task with feature vectors, whose segments have a sidecar each."""


class LiveMark(msgspec.Struct, frozen=True):
    """The content of a live task's mark; `retention_days` None: as the setting says.

    `record_s`: how long the pieces of its recording are kept; None: it has none.
    """

    retention_days: int | None = None
    record_s: int | None = None


class _Spec(msgspec.Struct, frozen=True):
    live: LiveOptions | None = None


class _Request(msgspec.Struct, frozen=True):
    spec: _Spec


_decode_request = json_decoder(_Request)


def flush_after_s(age_s: float, *, has_vectors: bool) -> float:
    """Return how long a live task's record may wait for its segment; `age_s` is the task's.

    A new task is stored as often as any other, and less often the older it is: within its first
    minute the wait grows to its limit, which keeps an hour below 130 objects.
    """
    limit_s = LIVE_PAIR_AFTER_S if has_vectors else LIVE_FLUSH_AFTER_S
    return min(limit_s, max(FLUSH_AFTER_S, age_s / 2))


def live_options(store: Objects, project: str, task: str) -> LiveOptions | None:
    """Return how the task's live source is read, None if it has none or no readable request."""
    try:
        request: _Request = _decode_request(store.get(request_key(project, task)) or b"")
    except msgspec.DecodeError:
        return None
    return request.spec.live


def mark(store: Objects, project: str, task: str, options: LiveOptions) -> None:
    """Mark the task as a live one, for the deletion of its segments by age."""
    record_s = None if options.record is None else options.record.retention_s
    body = msgspec.json.encode(LiveMark(options.retention_days, record_s))
    store.put_if_absent(live_key(project, task), body, {})
