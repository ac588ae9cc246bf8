"""The JSON of one chunk, field for field and in the order of the public reference.

Readers take any number that JSON has: what a field may hold is decided where a chunk is written
(`contract.bounds`), and what was written once is read for ever.
"""

from typing import Literal

import msgspec
from msgspec import UNSET, UnsetType

from streamproc.contract.decoding import json_decoder

FinishReason = Literal["stop", "max_frames", "error", "cancelled"]

CHUNK_OBJECT = "mm.pipeline.chunk"
RESULT_OBJECT = "mm.pipeline.result"


class Roi(msgspec.Struct, frozen=True):
    """A box in whole source pixels, clipped to the frame."""

    left: int
    top: int
    width: int
    height: int


class Target(msgspec.Struct, frozen=True, rename={"class_name": "class"}):
    """One object in one frame.

    `confidence` has 4 decimals. `feature` is base64 of little-endian float16, shape (512,), and
    present only with `include_vector`.
    """

    track_id: int
    class_name: str
    confidence: float
    roi: Roi
    text: str | UnsetType = UNSET
    text_confidence: float | UnsetType = UNSET
    feature_digest: str | UnsetType = UNSET
    feature: str | UnsetType = UNSET


class StreamInfo(msgspec.Struct, frozen=True):
    """Counters up to this chunk; `elapsed_ms` is wall-clock time since the stream's start.

    `time_s`: media time of the frame since the source's first, in microseconds' precision; logs
    written before it was known, and those of upstreams that do not say it, are without.
    `total_frames_is_estimate`, `frame_index_is_estimate`: true, or not there.
    `sample_aspect_ratio`: [width, height] of a pixel, not there for square ones. `frame_size`:
    [width, height] in pixels of a frame of another size than the source's first one, in whose size
    the targets are.
    """

    frame_index: int
    total_frames: int | None
    decoded_frames: int
    dropped_frames: int
    fps: float
    elapsed_ms: int
    time_s: float | UnsetType = UNSET
    total_frames_is_estimate: bool | UnsetType = UNSET
    sample_aspect_ratio: tuple[int, int] | UnsetType = UNSET
    frame_size: tuple[int, int] | UnsetType = UNSET
    frame_index_is_estimate: bool | UnsetType = UNSET


class Result(msgspec.Struct, frozen=True):
    """The targets of one input; `index` is the input's place, always 0 in v1."""

    index: int
    targets: tuple[Target, ...]


class Delta(msgspec.Struct, frozen=True):
    """What this chunk adds."""

    results: tuple[Result, ...]


class Usage(msgspec.Struct, frozen=True):
    """The cost of a task.

    `decoded_frames + failed_frames + undecoded_frames` is every frame of the range that was
    reached; `skipped_frames` of them were left out by sampling.
    """

    processed_frames: int
    processing_time_ms: int
    decoded_frames: int | UnsetType = UNSET
    failed_frames: int | UnsetType = UNSET
    skipped_frames: int | UnsetType = UNSET


class ChunkError(msgspec.Struct, frozen=True):
    """Why a task failed: a stable code and a message free of URLs and credentials."""

    code: str
    message: str


class Chunk(msgspec.Struct, frozen=True):
    """One processed frame's event, or the terminal with `finish_reason` and `usage`.

    `model` (the routing hint) and `provider` stand in a task's first chunk alone.
    """

    id: str
    object: str
    stream_info: StreamInfo
    delta: Delta
    finish_reason: FinishReason | None
    model: str | UnsetType | None = UNSET
    provider: str | UnsetType | None = UNSET
    usage: Usage | UnsetType = UNSET
    error: ChunkError | UnsetType = UNSET


_ENCODER = msgspec.json.Encoder()
_DECODE = json_decoder(Chunk)
_LINE_ENDS = (
    ("\u2028".encode(), rb"\u2028"),
    ("\u2029".encode(), rb"\u2029"),
    ("\x85".encode(), rb"\u0085"),
)


def encode_chunk(chunk: Chunk) -> bytes:
    """Return the chunk as compact JSON in which nothing is the end of a line.

    JSON escapes control characters. The other line ends of Unicode are escaped, too, for clients
    that divide a stream into lines by them.
    """
    data = _ENCODER.encode(chunk)
    for character, escaped in _LINE_ENDS:
        data = data.replace(character, escaped)
    return data


def decode_chunk(data: bytes | memoryview | str) -> Chunk:
    """Return the chunk that `data` holds; raises `msgspec.DecodeError` on anything else."""
    return _DECODE(data)
