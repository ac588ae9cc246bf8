"""Schema of another Video API's chunk: like our own, with every value within `contract.bounds`.

Ids and counts beyond their bounds are rejected. Estimates beyond them (`total_frames`, `fps`)
become unknown: the results of an upstream with wrong estimates are still useful.
"""

from collections.abc import Callable
from typing import Annotated

import msgspec
from msgspec import UNSET, Meta, UnsetType

from streamproc.contract.bounds import (
    MAX_COUNT,
    MAX_FEATURE_CHARS,
    MAX_TARGETS,
    Confidence,
    Count,
    Length,
    Name,
    Place,
    Side,
    Term,
    Text,
    TrackId,
)
from streamproc.contract.chunk import ChunkError, FinishReason, Roi, Target
from streamproc.contract.decoding import Data, json_decoder


class BoundedRoi(Roi, frozen=True):
    left: Place
    top: Place
    width: Length
    height: Length


class BoundedTarget(Target, frozen=True):
    track_id: TrackId
    class_name: Name
    confidence: Confidence
    roi: BoundedRoi
    text: Text | UnsetType = UNSET
    text_confidence: Confidence | UnsetType = UNSET
    feature_digest: Name | UnsetType = UNSET
    feature: Annotated[str, Meta(max_length=MAX_FEATURE_CHARS)] | UnsetType = UNSET


class UpstreamInfo(msgspec.Struct, frozen=True):
    """Stream counters; `frame_index` is -1 in the terminal of a task without a frame."""

    frame_index: Annotated[int, Meta(ge=-1, le=MAX_COUNT)]
    total_frames: int | float | None
    decoded_frames: Count
    dropped_frames: Count
    fps: float
    time_s: float | None = None
    sample_aspect_ratio: tuple[Term, Term] | None = None
    frame_size: tuple[Side, Side] | None = None
    frame_index_is_estimate: bool = False


class UpstreamResult(msgspec.Struct, frozen=True):
    targets: Annotated[tuple[BoundedTarget, ...], Meta(max_length=MAX_TARGETS)]


class UpstreamDelta(msgspec.Struct, frozen=True):
    results: tuple[UpstreamResult, ...]


class UpstreamUsage(msgspec.Struct, frozen=True):
    failed_frames: Count = 0


class UpstreamChunk(msgspec.Struct, frozen=True):
    """The relayed fields of a chunk; the other fields are written by this worker."""

    stream_info: UpstreamInfo
    delta: UpstreamDelta
    finish_reason: FinishReason | None
    usage: UpstreamUsage = UpstreamUsage()
    error: ChunkError | None = None


decode_upstream_chunk: Callable[[Data], UpstreamChunk] = json_decoder(UpstreamChunk)
"""Raises `msgspec.DecodeError`; for a value out of bounds it names the field, not the value."""
