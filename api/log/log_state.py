"""What a task's log says about the task: the part of its status that only the log knows."""

import msgspec

from streamproc.contract.chunk import Chunk, decode_chunk
from streamproc.contract.decoding import json_decoder
from streamproc.contract.framing import DONE, event_lines
from streamproc.contract.object_keys import Final
from streamproc.contract.records import Attempt, Claim, decode_claim


class LogState(msgspec.Struct, frozen=True, kw_only=True):
    """A log at one moment; `length` bytes of it exist. Times are Unix milliseconds.

    `claimed`: a worker took the task. `closed`: the terminal is in, nothing follows. `final` is
    there once a closed log is archived, a little after it closed. `attempts` are the providers
    that failed before the first chunk: the claim, the last segment or `final.json` says so.
    `n_chunks` counts the frames' chunks: the terminal is none of them.
    `last_chunk` is the newest chunk (the terminal, when closed): only when it was asked for.
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
    """Return the claim that a record's value holds, None for none or one that cannot be read."""
    return None if value is None else decode_claim(value)


def read_final(data: bytes | None) -> Final | None:
    """Raises `msgspec.DecodeError` on bytes that are no `final.json`."""
    return None if data is None else _decode_final(data)


def first_chunk(log: bytes) -> Chunk | None:
    """Return the chunk of the first whole event of `log`, which starts at an event."""
    end = log.find(b"\n\n")
    return None if end < 0 else _chunk(log[:end])


def last_chunk(log: bytes) -> Chunk | None:
    """Return the chunk of the last event that carries one; `log` ends with an event.

    It may start inside an event. None: it holds no whole chunk event.
    """
    end = len(log)
    while (stop := log.rfind(b"\n\n", 0, end)) >= 0:
        start = log.rfind(b"\n\n", 0, stop)
        event = log[start + 2 if start >= 0 else 0 : stop]
        if (found := _chunk(event)) is not None:
            return found
        end = stop
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
