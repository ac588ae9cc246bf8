"""Builds `final.json` from a closed log's first event and its terminal chunk."""

import msgspec
from msgspec import UNSET

from streamproc.contract.chunk import Chunk, decode_chunk
from streamproc.contract.object_keys import Final
from streamproc.contract.records import Attempt
from streamproc.contract.tables import TaskStatus

_STATUS: dict[str, TaskStatus] = {
    "stop": "succeeded",
    "max_frames": "succeeded",
    "error": "failed",
    "cancelled": "cancelled",
}
UNREADABLE = "unreadable_terminal"


def status_of(finish_reason: str) -> TaskStatus:
    """Return the task's status for a terminal chunk's `finish_reason`."""
    return _STATUS[finish_reason]


def final_of(
    *,
    first: bytes,
    terminal: bytes,
    length: int,
    sha256: str | None,
    started_ms: int,
    finished_ms: int | None,
    attempts: tuple[Attempt, ...] = (),
    chain: str = "",
    provider: str | None = None,
) -> Final:
    """Return the content of `final.json`; `first` and `terminal` are event data (JSON).

    `chain` and `provider` are of the last segment; they stand in for the hash, and for a first
    event that has expired.

    `finished_ms` None (the terminal's Kafka timestamp is no longer known): it is computed from the
    chunk's own clock. A terminal that cannot be decoded makes the task failed.
    """
    head = _chunk(first)
    last = _chunk(terminal)
    if last is None or last.finish_reason is None:
        return Final(
            length=length,
            sha256=sha256,
            status="failed",
            started_ms=started_ms,
            finished_ms=finished_ms or started_ms,
            processed_frames=0,
            error_code=UNREADABLE,
            error_message="the log's terminal chunk cannot be read",
            attempts=attempts,
            chain=None if sha256 else chain or None,
        )
    error = last.error or None
    if first:
        provider = None if head is None or head.provider is UNSET else head.provider
    return Final(
        length=length,
        sha256=sha256,
        status=status_of(last.finish_reason),
        started_ms=started_ms,
        finished_ms=finished_ms or started_ms + last.stream_info.elapsed_ms,
        processed_frames=last.usage.processed_frames if last.usage else 0,
        provider=provider,
        error_code=error.code if error else None,
        error_message=error.message if error else None,
        total_frames=last.stream_info.total_frames,
        fps=last.stream_info.fps,
        attempts=attempts,
        total_frames_is_estimate=last.stream_info.total_frames_is_estimate is True,
        chain=None if sha256 else chain or None,
    )


def _chunk(data: bytes) -> Chunk | None:
    try:
        return decode_chunk(data)
    except msgspec.DecodeError:
        return None
