"""Bounds of numbers, texts and lists that come from outside, with their reasons.

Outside are a video file, the decoder child that reads it, another Video API, and a record written
by another version. Everything new in a log is within these bounds: wire messages and an upstream's
chunks beyond them are rejected, estimates beyond them become unknown. Older log content is never
rejected for its values: readers clamp it (`clamped`), and the log's bytes stay as they are.

The bounds are wide: no real value comes near one. Each fits its storage downstream: the column of
a table, or the integers that JSON clients can represent exactly (below 2**53).
"""

import re
from typing import Annotated, Final, TypeVar

from msgspec import Meta

MAX_COUNT: Final = 2**40
"""Frames of a source, and every frame count: a thousand years at 30 frames per second."""
MAX_TRACK_ID: Final = 2**32 - 1
"""UInt32 in the tables."""
MAX_PX: Final = 2**24
"""A position or length in an image; no codec has images wider than 2**16. Int32 in the tables."""
MAX_TERM: Final = 2**31 - 1
"""Numerator or denominator of a fraction, as in libav."""
MAX_FPS: Final = 1e6
"""Frames per second; a time base of one microsecond is still accepted as a rate."""
MAX_TIME_S: Final = 1e9
"""Media time, before or after the first frame: 31 years."""
MAX_TIME_MS: Final = 10_413_791_999_999
"""Unix time: the end of 2299, the upper limit of DateTime64(3)."""
MAX_DURATION_MS: Final = 2**53 - 1
"""An elapsed time."""
MAX_RETENTION_DAYS: Final = 36_500
"""Days that the log of a live task is kept."""
MIN_RECORDING_S: Final = 60
MAX_RECORDING_S: Final = 31 * 86_400
DEFAULT_RECORDING_S: Final = 3600
"""How long a piece of a live source's recording is kept."""
MAX_LIMIT: Final = 2**53 - 1
"""A limit of a project: a number of things, or of bytes."""
MAX_WEIGHT: Final = 1000
MAX_INT64: Final = 2**63 - 1
"""Timestamps in a container's own units, Kafka offsets, log offsets."""
MAX_TARGETS: Final = 10_000
"""Targets in one frame."""
MAX_VECTOR_BYTES: Final = 2 * 8192
"""A feature vector, as float16."""
MAX_FEATURE_CHARS: Final = (MAX_VECTOR_BYTES + 2) // 3 * 4
"""The same as base64."""
MAX_NAME_CHARS: Final = 256
"""Names: of a class, a codec, a digest."""
MAX_TEXT_CHARS: Final = 16_384
"""Text recognised in a frame, for one target."""
MAX_CODE_CHARS: Final = 64
MAX_REASONS: Final = 16
"""Reasons by which frames are counted."""
MAX_BEAT_SOURCES: Final = 1000
"""Names of sources in one heartbeat; a worker may have more."""
MAX_MESSAGE_CHARS: Final = 300
"""An error message in a log."""

Count = Annotated[int, Meta(ge=0, le=MAX_COUNT)]
TrackId = Annotated[int, Meta(ge=0, le=MAX_TRACK_ID)]
Place = Annotated[int, Meta(ge=-MAX_PX, le=MAX_PX)]
Length = Annotated[int, Meta(ge=0, le=MAX_PX)]
Rate = Annotated[float, Meta(ge=0, le=MAX_FPS)]
Side = Annotated[int, Meta(ge=1, le=MAX_PX)]
Term = Annotated[int, Meta(ge=1, le=MAX_TERM)]
Duration = Annotated[float, Meta(ge=0, le=MAX_TIME_S)]
MediaTime = Annotated[float, Meta(ge=-MAX_TIME_S, le=MAX_TIME_S)]
Timestamp = Annotated[int, Meta(ge=-MAX_INT64, le=MAX_INT64)]
Confidence = Annotated[float, Meta(ge=0, le=1)]
Name = Annotated[str, Meta(max_length=MAX_NAME_CHARS)]
Text = Annotated[str, Meta(max_length=MAX_TEXT_CHARS)]
UnixMs = Annotated[int, Meta(ge=0, le=MAX_TIME_MS)]

N = TypeVar("N", int, float)
_CONTROL = re.compile(
    "[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069]+"
)


def clamped(value: N, low: N, high: N) -> N:
    """Clamp `value` to `[low, high]`; NaN becomes `low`."""
    return min(max(value, low), high) if value == value else low  # noqa: PLR0124 - NaN alone


def usable_count(value: float | None) -> int | None:
    """Return an estimated frame count, None if it is out of bounds."""
    return round(value) if value is not None and 0 <= value <= MAX_COUNT else None


def usable_duration_s(value: float | None) -> float | None:
    """Return a duration, None if it is out of bounds."""
    return value if value is not None and 0 <= value <= MAX_TIME_S else None


def usable_time_s(value: float | None) -> float | None:
    """Return a media time since the first frame, None if it is out of bounds."""
    return float(value) if value is not None and 0 <= value <= MAX_TIME_S else None


def usable_fps(value: float) -> float:
    """Return a frame rate, 0 (unknown) if it is out of bounds."""
    return float(value) if 0 < value <= MAX_FPS else 0.0


def plain_line(text: str) -> str:
    """Return a message as one line of bounded length, without terminal control characters."""
    return _CONTROL.sub(" ", text[:MAX_MESSAGE_CHARS])
