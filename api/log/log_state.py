"""Task state derived from the log: the part of a task's status that only the log has."""

import msgspec

from streamproc.contract.chunk import Chunk, captured_ms, decode_chunk
from streamproc.contract.decoding import json_decoder
from streamproc.contract.framing import DONE, event_lines
from streamproc.contract.object_keys import Final
from streamproc.contract.records import Attempt, Claim, decode_claim


class LogState(msgspec.Struct, frozen=True, kw_only=True):
    """Snapshot of a log; `length` bytes of it exist. Times are Unix milliseconds.

    `claimed`: a worker has claimed the task. `closed`: the log has its terminal and is complete.
    `final` is present once a closed log is archived, a little after it closed. `attempts` are the
    providers that failed before the first chunk, from the claim, the last segment or `final.json`.
    `n_chunks` counts the chunks of frames, without the terminal. `last_chunk` is the newest chunk
    (the terminal, if closed); it is only set on request.
    """

    length: int
    closed: bool
    claimed: bool
    n_chunks: int = 0
    started_ms: int | None = None
    finished_ms: int | None = None
    provider: str | None = None
    attempts: tuple[Attempt, ...] = ()
    last_chunk: Chunk | None = None
    final: Final | None = None


def read_claim(value: bytes | None) -> Claim | None:
    """Return the claim in a record's value, None if there is none or it cannot be decoded."""
    return None if value is None else decode_claim(value)


def read_final(data: bytes | None) -> Final | None:
    """Decode a `final.json`, None for None; raises `msgspec.DecodeError` on other bytes."""
    return None if data is None else _decode_final(data)


def first_chunk(log: bytes) -> Chunk | None:
    """Return the chunk of the first complete event of `log`, which starts at an event boundary."""
    end = log.find(b"\n\n")
    return None if end < 0 else _chunk(log[:end])


def last_chunk(log: bytes) -> Chunk | None:
    """Return the last chunk in `log`, which ends at an event boundary.

    `log` may start inside an event. None: it contains no complete chunk event.
    """
    end = len(log)
    while (stop := log.rfind(b"\n\n", 0, end)) >= 0:
        start = log.rfind(b"\n\n", 0, stop)
        event = log[start + 2 if start >= 0 else 0 : stop]
        if (found := _chunk(event)) is not None:
            return found
        end = stop
    return None


def first_event_at(log: bytes, time_ms: int) -> int | None:
    """Return the place in `log` of its first event whose frame was captured at `time_ms` or later.

    `log` may start inside an event. None: there is none.
    """
    at = 0
    while (stop := log.find(b"\n\n", at)) >= 0:
        lines = event_lines(log[at:stop])
        captured = None if lines is None else captured_ms(lines[0])
        if captured is not None and captured >= time_ms:
            return at
        at = stop + 2
    return None


def _chunk(event: bytes) -> Chunk | None:
    lines = event_lines(event)
    if lines is None or lines[0] == DONE:
        return None
    try:
        return decode_chunk(lines[0])
    except msgspec.DecodeError:
        return None


_decode_final = json_decoder(Final)
