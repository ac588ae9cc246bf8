"""Checkpoint of a task, stored with a slice's last chunk: all state to resume on another worker.

Versioned msgpack, zstd; no pickle. A checkpoint of another version is refused, and the task is
recomputed from its start, without output up to the log's end: slower, never wrong.
"""

import msgspec
import zstandard

from streamproc.contract.decoding import msgpack_decoder

VERSION = 1
_LEVEL = 3
_MAX_BYTES = 64 * 1024 * 1024


class Checkpoint(msgspec.Struct, frozen=True):
    """A task's state just after the chunk that carries it.

    `engine` is the provider's own state; `started_ms` is the stream's start, Unix milliseconds;
    `pin` is the source's fingerprint.
    """

    provider: str
    started_ms: int
    processed: int
    pin: str
    engine: bytes
    version: int = VERSION


class BadCheckpointError(ValueError):
    """The bytes are not a checkpoint of this version."""


_decode = msgpack_decoder(Checkpoint)


def encode_checkpoint(checkpoint: Checkpoint) -> bytes:
    return zstandard.ZstdCompressor(level=_LEVEL).compress(msgspec.msgpack.encode(checkpoint))


def decode_checkpoint(data: bytes) -> Checkpoint:
    """Decode; raises `BadCheckpointError` unless it is a checkpoint of this version."""
    try:
        plain = zstandard.ZstdDecompressor().decompress(data, max_output_size=_MAX_BYTES)
        checkpoint: Checkpoint = _decode(plain)
    except (zstandard.ZstdError, msgspec.DecodeError) as exc:
        raise BadCheckpointError(f"not a checkpoint: {exc}") from exc
    if checkpoint.version != VERSION:
        raise BadCheckpointError(f"checkpoint version {checkpoint.version}, not {VERSION}")
    return checkpoint
