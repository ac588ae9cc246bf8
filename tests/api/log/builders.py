"""Chunk records of a task as a writer would append them, and the log they make."""

from collections.abc import Callable

import msgspec

from streamproc.contract.chunk import Chunk, Delta, Result, StreamInfo, Usage, encode_chunk
from streamproc.contract.framing import DONE, frame_event
from streamproc.contract.records import ChunkRecord, Claim, Kind

PROJECT = "p1"
TASK = "vt_1"


def chunk(seq: int, *, terminal: bool = False, padding: int = 0) -> Chunk:
    """A chunk without targets; `padding` makes it longer."""
    return Chunk(
        id="c" * (1 + padding),
        object="mm.pipeline.chunk",
        stream_info=StreamInfo(seq, None, seq + 1, 0, 25.0, seq * 40),
        delta=Delta((Result(0, ()),)),
        finish_reason="stop" if terminal else None,
        usage=Usage(seq, seq * 40) if terminal else msgspec.UNSET,
        provider="local" if seq == 0 else msgspec.UNSET,
    )


def chunk_value(seq: int, off: int, *, padding: int = 0) -> bytes:
    return frame_event(encode_chunk(chunk(seq, padding=padding)), off)


def terminal_value(seq: int, off: int) -> bytes:
    last = frame_event(encode_chunk(chunk(seq, terminal=True)), off)
    return last + frame_event(DONE, off + len(last))


def claim_value(worker: str = "w", provider: str = "local") -> bytes:
    return msgspec.msgpack.encode(
        Claim(worker=worker, slice=0, provider=provider, precision="f32", device="CPU")
    )


def record(
    kind: Kind,
    position: int,
    *,
    epoch: int = 0,
    seq: int = 0,
    off: int = 0,
    value: bytes | None = None,
    task: str = TASK,
    time_ms: int | None = None,
) -> ChunkRecord:
    """A record at a Kafka offset; a claim's epoch is that offset."""
    if value is None:
        writes: dict[Kind, Callable[[], bytes]] = {
            "claim": claim_value,
            "chunk": lambda: chunk_value(seq, off),
            "terminal": lambda: terminal_value(seq, off),
        }
        value = writes[kind]()
    return ChunkRecord(
        task=task,
        project=PROJECT,
        kind=kind,
        epoch=position if kind == "claim" else epoch,
        seq=seq,
        off=off,
        frame=seq if kind == "chunk" else -1,
        pts=seq if kind == "chunk" else -1,
        value=value,
        position=position,
        time_ms=1_000 + position if time_ms is None else time_ms,
    )


def whole_log(
    n_chunks: int, *, position: int = 0, task: str = TASK, closed: bool = True, padding: int = 0
) -> list[ChunkRecord]:
    """One writer's records: a claim, chunks, and the terminal when `closed`."""
    records = [record("claim", position, task=task)]
    off = 0
    for seq in range(n_chunks):
        value = chunk_value(seq, off, padding=padding)
        records.append(
            record(
                "chunk",
                position + 1 + seq,
                epoch=position,
                seq=seq,
                off=off,
                value=value,
                task=task,
            )
        )
        off += len(value)
    if closed:
        records.append(
            record(
                "terminal",
                position + 1 + n_chunks,
                epoch=position,
                seq=n_chunks,
                off=off,
                task=task,
            )
        )
    return records


def bytes_of(records: list[ChunkRecord]) -> bytes:
    """The log that one writer's records make."""
    return b"".join(found.value for found in records if found.kind != "claim")
