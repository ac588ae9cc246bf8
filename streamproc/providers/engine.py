"""Engine interface: how a session gets processed frames from a provider, one after another."""

from typing import Literal, Protocol

import msgspec

from streamproc.contract.chunk import Gap, RecordingLoss, Target
from streamproc.contract.records import TrackVector
from streamproc.source.types import FrameCounts


class LiveMark(msgspec.Struct, frozen=True):
    """Where and when a live frame was captured, and what was left out so far.

    `captured_wall_s`: seconds since 1970, by the source's own clock if `is_source_clock`, else when
    it arrived. `size`: [width, height] in pixels. `dropped`: the
    task's frames that were received and not processed, by `chunk.DropReason`.
    `recording_lost`: since the frame before.
    """

    captured_wall_s: float
    is_source_clock: bool
    size: tuple[int, int]
    gap: Gap | None = None
    dropped: dict[str, int] = msgspec.field(default_factory=dict)
    recording_lost: RecordingLoss | None = None


class FrameResult(msgspec.Struct, frozen=True):
    """One processed frame: the content of a chunk, without wall-clock time.

    `pts` is in the source's time base; `time_s` is the media time since the source's first frame,
    None if unknown.
    `total_is_exact`: `total_frames` was counted, or is not known to be an estimate.
    `sample_aspect`, `frame_size`: as in `StreamInfo`, None where it has UNSET.
    `index_is_exact`: `frame_index` was counted, not derived from the time.
    `live`: only of a live source.
    """

    frame_index: int
    pts: int
    total_frames: int | None
    counts: FrameCounts
    fps: float
    targets: tuple[Target, ...]
    vectors: tuple[TrackVector, ...] = ()
    time_s: float | None = None
    total_is_exact: bool = True
    sample_aspect: tuple[int, int] | None = None
    frame_size: tuple[int, int] | None = None
    index_is_exact: bool = True
    live: LiveMark | None = None


class SourceNotice(msgspec.Struct, frozen=True):
    """A live source is lost: why, and after how many attempts."""

    state: str
    code: str
    n_attempts: int


class EndOfStream(msgspec.Struct, frozen=True):
    """End of the stream: no frame follows. Counters are for the whole range, as far as read."""

    reason: Literal["stop", "max_frames"]
    counts: FrameCounts
    total_frames: int | None = None
    fps: float = 0.0
    total_is_exact: bool = True


class Engine(Protocol):
    """A running task on one provider. One thread at a time, but `close` from any thread."""

    @property
    def pin(self) -> str:
        """Identity of the log's source: the source's fingerprint, or the upstream's task id."""

    @property
    def checkpoints_every_chunk(self) -> bool:
        """Whether `state` is small enough to store with every chunk, not only a slice's last."""

    def next(self, timeout_s: float) -> FrameResult | SourceNotice | EndOfStream | None:
        """Return the next item, None if none arrived in time.

        Raises `TaskFailedError` if the task cannot continue.
        """

    def state(self) -> bytes:
        """Return the state needed to continue after the last frame that `next` returned."""

    def abandon(self) -> None:
        """Stop remote work, because the task ends before the engine. Never raises."""

    def close(self) -> None:
        """Release all local resources; remote work may be continued from `state`.

        A second call does nothing.
        """
