"""JSON schema of one chunk: the fields and their order are those of the public reference.

Readers accept any JSON number: bounds are enforced where a chunk is written (`contract.bounds`),
and a chunk once written stays readable for ever.
"""

from typing import Literal

import msgspec
from msgspec import UNSET, UnsetType

from streamproc.contract.decoding import json_decoder
from streamproc.contract.timestamps import usable_time_ms

FinishReason = Literal["stop", "max_frames", "error", "cancelled"]
GapReason = Literal["source_lost", "worker_lost", "discontinuity", "overload"]
DropReason = Literal["sampling", "overload", "late", "damaged", "undecodable", "warm_up"]
"""Why a received frame of a live source was not processed."""

CHUNK_OBJECT = "mm.pipeline.chunk"
RESULT_OBJECT = "mm.pipeline.result"


class Roi(msgspec.Struct, frozen=True):
    """Bounding box in whole source pixels, clipped to the frame."""

    left: int
    top: int
    width: int
    height: int


class Target(msgspec.Struct, frozen=True, rename={"class_name": "class"}):
    """One object in one frame.

    `confidence` has 4 decimals. `feature` is base64 of little-endian float16, shape (512,);
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


class Gap(msgspec.Struct, frozen=True):
    """Time without frames before this one; `reason` is a `GapReason`, or one of a later version."""

    reason: str
    seconds: float


class Notice(msgspec.Struct, frozen=True):
    """What happened to a live source: `state` is `lost`, `code` why.

    `attempts`: to connect since then.
    """

    state: str
    code: str
    attempts: int


class RecordingLoss(msgspec.Struct, frozen=True):
    """Pieces of a live source's recording that were lost since the chunk before.

    `reason`: of the last one, a `records.RecordingResult` or one of a later version. `pictures`: in
    all of them. `first_frame` and `last_frame`: the lowest and the highest index of their frames.
    """

    reason: str
    pieces: int
    pictures: int
    first_frame: int
    last_frame: int


class StreamInfo(msgspec.Struct, frozen=True):
    """Counters up to this chunk; `elapsed_ms` is wall-clock time since the stream's start.

    `time_s`: media time of the frame since the source's first one, with microsecond precision;
    absent in logs of older versions, and in those of upstreams that do not report it.
    `total_frames_is_estimate`, `frame_index_is_estimate`: true, or absent.
    `sample_aspect_ratio`: [width, height] of a pixel, absent for square pixels. `frame_size`:
    [width, height] in pixels of this frame, if it differs from the source's first frame. Targets
    are always in pixels of the first frame's size.

    Only of live sources, where `total_frames` is None:
    `captured_at`: when the frame was captured, RFC 3339 in UTC with milliseconds, by `clock`: that
    of the `source`, or that of the `server` when the frame arrived. `lag_ms`: from then to this
    chunk. `size`: [width, height] in pixels; the targets of this frame and of later ones are in
    it. `clock` and `size` are in the first chunk, and in each that changes them. `gap`: in the
    first chunk after a time without frames. `recording_lost`: in the first chunk after pieces
    of the recording were lost. `source`: this chunk is a notice, without a frame, and repeats the
    last `frame_index`.
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
    captured_at: str | UnsetType = UNSET
    clock: str | UnsetType = UNSET
    lag_ms: int | UnsetType = UNSET
    size: tuple[int, int] | UnsetType = UNSET
    gap: Gap | UnsetType = UNSET
    recording_lost: RecordingLoss | UnsetType = UNSET
    source: Notice | UnsetType = UNSET

    @property
    def is_notice(self) -> bool:
        """Whether this chunk tells of a live source, and of no frame."""
        return self.source is not UNSET

    @property
    def captured_ms(self) -> int | None:
        """When the frame was captured, in Unix ms; None for files, or without a usable time."""
        return None if self.captured_at is UNSET else usable_time_ms(self.captured_at)


class Result(msgspec.Struct, frozen=True):
    """The targets of one input; `index` is the input's position, always 0 in v1."""

    index: int
    targets: tuple[Target, ...]


class Delta(msgspec.Struct, frozen=True):
    """What this chunk adds."""

    results: tuple[Result, ...]


class Usage(msgspec.Struct, frozen=True):
    """The cost of a task.

    `decoded_frames + failed_frames + undecoded_frames` is every frame of the range that was
    reached; sampling skipped `skipped_frames` of them. `dropped`: of a live source, the received
    frames that were not processed, by `DropReason`.
    """

    processed_frames: int
    processing_time_ms: int
    decoded_frames: int | UnsetType = UNSET
    failed_frames: int | UnsetType = UNSET
    skipped_frames: int | UnsetType = UNSET
    dropped: dict[str, int] | UnsetType = UNSET


class ChunkError(msgspec.Struct, frozen=True):
    """Why a task failed: a stable code and a message without URLs and credentials."""

    code: str
    message: str


class Chunk(msgspec.Struct, frozen=True):
    """One processed frame's event, or the terminal with `finish_reason` and `usage`.

    `model` (the routing hint) and `provider` are only in a task's first chunk.
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


class _CapturedInfo(msgspec.Struct, frozen=True):
    captured_at: str


class _Captured(msgspec.Struct, frozen=True):
    stream_info: _CapturedInfo


class _Tracked(msgspec.Struct, frozen=True):
    track_id: int


class _TrackedResult(msgspec.Struct, frozen=True):
    targets: tuple[_Tracked, ...]


class _TrackedDelta(msgspec.Struct, frozen=True):
    results: tuple[_TrackedResult, ...]


class _TrackedChunk(msgspec.Struct, frozen=True):
    delta: _TrackedDelta


_ENCODER = msgspec.json.Encoder()
_DECODE_TRACKED = json_decoder(_TrackedChunk)
_DECODE_CAPTURED = json_decoder(_Captured)
_DECODE = json_decoder(Chunk)
_LINE_ENDS = (
    ("\u2028".encode(), rb"\u2028"),
    ("\u2029".encode(), rb"\u2029"),
    ("\x85".encode(), rb"\u0085"),
)


def encode_chunk(chunk: Chunk) -> bytes:
    """Return the chunk as compact JSON without any line separator.

    JSON escapes control characters. The other line separators of Unicode are escaped too, for
    clients that split a stream into lines at them.
    """
    data = _ENCODER.encode(chunk)
    for character, escaped in _LINE_ENDS:
        data = data.replace(character, escaped)
    return data


def decode_chunk(data: bytes | memoryview | str) -> Chunk:
    """Decode a chunk; raises `msgspec.DecodeError` on anything else."""
    return _DECODE(data)


def captured_ms(data: bytes | memoryview) -> int | None:
    """Return when a chunk's frame was captured, in Unix ms; None without a usable time.

    Faster than decoding the chunk: nothing else of it is built.
    """
    try:
        found: _Captured = _DECODE_CAPTURED(data)
    except msgspec.DecodeError:
        return None
    return usable_time_ms(found.stream_info.captured_at)


def track_ids(data: bytes) -> set[int]:
    """Return the ids of the tracks in a chunk, none if it is no chunk."""
    try:
        found: _TrackedChunk = _DECODE_TRACKED(data)
    except msgspec.DecodeError:
        return set()
    return {target.track_id for result in found.delta.results for target in result.targets}
