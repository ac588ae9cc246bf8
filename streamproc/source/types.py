"""Data types of a video source: what to open, what it is, what is read from it."""

from typing import Final, NamedTuple

import msgspec
import numpy as np
import numpy.typing as npt

from models.sizes import InputFit, SourceShape
from streamproc.contract.task_spec import FrameRange, Sampling

Image = npt.NDArray[np.uint8]


NO_PLACE: Final = -1
"""Position of a packet whose place in its file is unknown."""


class SourceSpec(msgspec.Struct, frozen=True):
    """One video to read: its URL and the requested frames.

    `stream`: its number in the file, None for the default or largest one. `anchor_s`: a range in
    frames refers to the frame numbers that a range starting at this many seconds has.
    """

    url: str
    sampling: Sampling = Sampling()
    range: FrameRange = FrameRange()
    stream: int | None = None
    anchor_s: float | None = None

    def __repr__(self) -> str:
        """Omit the URL: it may be presigned."""
        return f"SourceSpec(sampling={self.sampling}, range={self.range})"


class FrameOutputs(msgspec.Struct, frozen=True):
    """The images that are made of every delivered frame.

    `full`: the whole upright frame. `scaled`: how a second image is made, in one pass from the
    decoder's own pixels, that a network can take as it is.
    """

    full: bool = True
    scaled: InputFit | None = None


class FrameCounts(NamedTuple):
    """Numbers of frames since the start of the range, over all interruptions.

    `failed`: sent to the decoder without a result; `skipped`: left out on purpose, by sampling or
    in keyframe mode.
    """

    decoded: int = 0
    failed: int = 0
    skipped: int = 0

    @property
    def dropped(self) -> int:
        return self.failed + self.skipped


class ResumePoint(msgspec.Struct, frozen=True):
    """The last frame that was processed before an interruption, with its counters.

    A pts is not unique in every file; `pos`, the position of the frame's packet in it, tells frames
    apart. Points that were written before `pos` existed have none. `index_is_estimate`: the start
    of the range was found by its time, and the index was counted from there.
    """

    index: int
    pts: int
    decoded: int
    failed: int
    skipped: int
    pos: int = NO_PLACE
    index_is_estimate: bool = False

    @property
    def counts(self) -> FrameCounts:
        return FrameCounts(self.decoded, self.failed, self.skipped)


class SourceInfo(msgspec.Struct, frozen=True):
    """Properties of a source, known after its first frame has been decoded.

    `width`, `height`: pixels of the upright frame, after `rotation` (degrees counterclockwise,
    as applied). `fps`: average rate of the source. `total_frames`: counted from the container's
    index (`total_is_exact`), else duration x rate; None when neither is known. `time_base`:
    seconds per pts unit. `sample_aspect`: width : height of a pixel of the upright frame.
    `fingerprint`: sha256 over size, first and last 64 KiB and a strong ETag; for a source without
    random access (see `fetch`), over size, first 64 KiB and ETag.
    """

    width: int
    height: int
    fps: float
    total_frames: int | None
    duration_s: float | None
    rotation: int
    codec: str
    container: str
    seekable: bool
    size_bytes: int | None
    fingerprint: str
    time_base: tuple[int, int]
    start_pts: int
    total_is_exact: bool = False
    sample_aspect: tuple[int, int] = (1, 1)

    @property
    def shape(self) -> SourceShape:
        return SourceShape(self.width, self.height, self.sample_aspect)


class SourceUsage(msgspec.Struct, frozen=True):
    """Frame counts of the range, over all interruptions.

    `decoded + failed + skipped_undecoded` is the number of frames in the range.
    `skipped_sampled` frames were decoded, but not sampled; `skipped_undecoded` frames were never
    sent to the decoder (keyframe mode). `packets_sent`: packets that this run decoded.
    """

    decoded: int
    failed: int
    skipped_sampled: int
    skipped_undecoded: int
    packets_sent: int

    @property
    def counts(self) -> FrameCounts:
        return FrameCounts(self.decoded, self.failed, self.skipped_sampled + self.skipped_undecoded)
