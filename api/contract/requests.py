"""The bodies of requests for processing, with the reference's names and ours.

They refuse unknown fields. `api.tasks.request_parser` parses requests into these.
"""

from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from streamproc.contract.bounds import (
    DEFAULT_RECORDING_S,
    MAX_RECORDING_S,
    MAX_RETENTION_DAYS,
    MIN_RECORDING_S,
)
from streamproc.contract.task_spec import Precision

MAX_COUNT = 2**31 - 1
MAX_SECONDS = 10_000_000.0
MAX_STEPS = 32
MAX_STREAM = 127
"""Highest stream number; files with more streams are refused."""
MAX_URL_LENGTH = 8192
Count = Annotated[int, Meta(ge=1, le=MAX_COUNT)]
Fraction = Annotated[float, Meta(ge=0, le=1)]


class RequestBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Base of all request bodies and their parts."""


class FpsSampling(RequestBody, frozen=True, tag_field="mode", tag="fps"):
    """The first frame at or after each k/value seconds from the range's start."""

    value: Annotated[float, Meta(gt=0, le=1000)] = 1.0


class KeyframeSampling(RequestBody, frozen=True, tag_field="mode", tag="keyframe"):
    """Keyframes only."""


class IntervalSampling(RequestBody, frozen=True, tag_field="mode", tag="interval"):
    """Every value-th frame, counted from the range's start."""

    value: Count


Sampling = FpsSampling | KeyframeSampling | IntervalSampling
StreamNumber = Annotated[int, Meta(ge=0, le=MAX_STREAM)]


class Range(RequestBody, frozen=True):
    """The half-open part `[start, end)` of the video; without `end`, to the video's end."""

    start: Annotated[float, Meta(ge=0, le=MAX_SECONDS)] = 0
    end: Annotated[float, Meta(gt=0, le=MAX_SECONDS)] | None = None
    unit: Literal["seconds", "frames"] = "seconds"


class Record(RequestBody, frozen=True):
    """A live source is recorded, for `frames/N.jpg`; `retention_s`: how long a piece is kept."""

    retention_s: Annotated[int, Meta(ge=MIN_RECORDING_S, le=MAX_RECORDING_S)] = DEFAULT_RECORDING_S


class Live(RequestBody, frozen=True):
    """How a live source is read.

    `on_loss`: what a lost packet damaged is left out up to the next keyframe (`skip`), or decoded
    all the same (`conceal`). `max_lag_s`: decoding that is further behind continues at the newest
    keyframe. `give_up_s`: after so long without the source the task fails; null is never.
    `retention_days`: the log and the rows of the task are kept for so long, 0 for ever; null: as
    long as the server's setting says. `record`: the source is recorded; null: it is not.
    """

    transport: Literal["tcp", "udp"] = "tcp"
    on_loss: Literal["skip", "conceal"] = "skip"
    max_lag_s: Annotated[float, Meta(ge=0.2, le=60)] = 2.0
    give_up_s: Annotated[float, Meta(gt=0, le=MAX_SECONDS)] | None = None
    retention_days: Annotated[int, Meta(ge=0, le=MAX_RETENTION_DAYS)] | None = None
    record: Record | None = None


class VideoUrl(RequestBody, frozen=True, tag_field="type", tag="video_url"):
    """A video at a URL: http, https, or a file below a directory that the operator allows.

    Or a live source: rtsp, rtsps, or `camera:` and a name that the operator has given it.
    """

    url: Annotated[str, Meta(min_length=1, max_length=MAX_URL_LENGTH)]
    sampling: Sampling | None = None
    range: Range | None = None
    max_frames: Count | None = None
    stream: StreamNumber | None = None
    live: Live | None = None


class VideoBase64(RequestBody, frozen=True, tag_field="type", tag="video_base64"):
    """A video in the request body: `data` is base64, or a data: URL that holds base64.

    Or it is `staged:` and an object key, as a request of the same project is echoed: the video of
    that request is used again.
    """

    data: Annotated[str, Meta(min_length=1)]
    sampling: Sampling | None = None
    range: Range | None = None
    max_frames: Count | None = None
    stream: StreamNumber | None = None


Input = VideoUrl | VideoBase64


class When(RequestBody, frozen=True):
    """Filter of the targets that a step processes: all given conditions must hold."""

    class_is: Annotated[list[str], Meta(min_length=1, max_length=1000)] | None = None
    min_confidence: Fraction | None = None


class StepRequest(RequestBody, frozen=True):
    """One step: `detect`, `ocr`, `feature`, or a `name@version` of `/v1/models`."""

    model: Annotated[str, Meta(min_length=1, max_length=128)]
    parameters: dict[str, Any] | None = None
    when: When | None = None


class ProcessRequest(RequestBody, frozen=True):
    """The body of `POST /v1/video/process`."""

    input: Annotated[list[Input], Meta(min_length=1, max_length=1)]
    steps: Annotated[list[StepRequest], Meta(min_length=1, max_length=MAX_STEPS)]
    model: Annotated[str, Meta(max_length=256)] | None = None
    precision: Precision | None = None
