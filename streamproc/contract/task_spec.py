"""Normalised task specification: a request as the `Submitted` message carries it.

The api validates the public request, fills in every default and writes this. A worker never sees
any other part of the request, so two workers cannot interpret it differently.
"""

from typing import Any, Literal

import msgspec

DEFAULT_MAX_FRAMES = 3000

Precision = Literal["f32", "bf16", "f16", "i8", "i8-bf16"]


class Sampling(msgspec.Struct, frozen=True):
    """Which frames of the range are processed.

    `fps`: the first frame at or after k/value seconds from the range's start, for each k.
    `interval`: every value-th frame, counted from the range's start (value >= 1).
    `keyframe`: only keyframes; value is not used.
    """

    mode: Literal["fps", "keyframe", "interval"] = "fps"
    value: float = 1.0


class FrameRange(msgspec.Struct, frozen=True):
    """Half-open range `[start, end)` of the source; `end` None: the source's end."""

    start: float = 0.0
    end: float | None = None
    unit: Literal["seconds", "frames"] = "seconds"


class SourceRef(msgspec.Struct, frozen=True):
    """Location of the video's bytes.

    Exactly one is set: `url` (http, https, file) as the client gave it, or `object_key`, the key
    of a staged upload in Framewire's own bucket. `sealed`: the URL holds credentials, which are
    masked here (`contract.masking`); the full URL is stored encrypted at `object_keys.secret_key`.
    """

    url: str | None = None
    object_key: str | None = None
    sealed: bool = False


class When(msgspec.Struct, frozen=True):
    """Filter of the targets that a step processes: all given conditions must hold.

    `class_is` holds reference class names; `min_confidence` is in 0..1.
    """

    class_is: tuple[str, ...] | None = None
    min_confidence: float | None = None


class Step(msgspec.Struct, frozen=True):
    """One pipeline step, with a pinned model version and complete parameters.

    `model` is `name@version`; `parameters` are validated by `models.manifest.validate_parameters`.
    """

    kind: Literal["detect", "ocr", "feature"]
    model: str
    parameters: dict[str, Any] = msgspec.field(default_factory=dict)
    when: When | None = None


class Recording(msgspec.Struct, frozen=True):
    """A live source is recorded; `retention_s`: its pieces are kept for so long."""

    retention_s: int


class LiveOptions(msgspec.Struct, frozen=True):
    """How a live source is read.

    `on_loss`: leave out what a lost packet damaged up to the next keyframe, or decode it.
    `max_lag_s`: decoding that is further behind continues at the newest keyframe. `give_up_s`: a
    source that has been away for so long ends the task; None: it is tried for ever.
    `retention_days`: the archive's log is kept for so long, 0: for ever, None: as the setting says.
    `record` None: the source is not recorded.
    """

    transport: Literal["tcp", "udp"] = "tcp"
    on_loss: Literal["skip", "conceal"] = "skip"
    max_lag_s: float = 2.0
    give_up_s: float | None = None
    retention_days: int | None = None
    record: Recording | None = None


class TaskSpec(msgspec.Struct, frozen=True):
    """Everything that a worker needs of a task's request.

    `max_frames` None: no limit, only for a live source. `stream`: number of the video stream in
    its file; None: the default or largest one. `precision`: in which this machine's models compute;
    None: that of the provider. `live` is set if, and only if, the source is live.
    """

    source: SourceRef
    steps: tuple[Step, ...]
    sampling: Sampling = Sampling()
    range: FrameRange = FrameRange()
    max_frames: int | None = DEFAULT_MAX_FRAMES
    model_hint: str | None = None
    providers: tuple[str, ...] = ("local",)
    stream: int | None = None
    precision: Precision | None = None
    live: LiveOptions | None = None
