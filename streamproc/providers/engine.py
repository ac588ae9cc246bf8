"""What a provider is to the session: an engine that yields processed frames, one after another."""

from typing import Literal, Protocol

import msgspec

from streamproc.contract.chunk import Target
from streamproc.contract.records import TrackVector


class FrameResult(msgspec.Struct, frozen=True):
    """One processed frame: the content of a chunk, but for the wall clock.

    `decoded`, `failed` and `skipped` count frames from the range's start; `pts` is in the
    source's time base, `time_s` the media time since the source's first frame, None when unknown.
    `total_is_exact`: `total_frames` was counted, or nothing else is known of it.
    `sample_aspect`, `frame_size`: as `StreamInfo` has them, None where it has nothing.
    `index_is_exact`: `frame_index` was counted, not told by its time.
    """

    frame_index: int
    pts: int
    total_frames: int | None
    decoded: int
    failed: int
    skipped: int
    fps: float
    targets: tuple[Target, ...]
    vectors: tuple[TrackVector, ...] = ()
    time_s: float | None = None
    total_is_exact: bool = True
    sample_aspect: tuple[int, int] | None = None
    frame_size: tuple[int, int] | None = None
    index_is_exact: bool = True


class EndOfStream(msgspec.Struct, frozen=True):
    """No frame follows. Counters are of the whole range, as far as it was read."""

    reason: Literal["stop", "max_frames"]
    decoded: int
    failed: int
    skipped: int
    total_frames: int | None = None
    fps: float = 0.0
    total_is_exact: bool = True


class Engine(Protocol):
    """A running task on one provider. Used by one thread at a time, `close` by any."""

    @property
    def pin(self) -> str:
        """What the log was computed from: the source's fingerprint, or the upstream's task."""

    @property
    def checkpoints_every_chunk(self) -> bool:
        """Whether `state` is small enough to travel with every chunk, not with a slice's last."""

    def next(self, timeout_s: float) -> FrameResult | EndOfStream | None:
        """Return what comes next, None when nothing came in time.

        Raises `TaskFailedError` when the task cannot go on.
        """

    def state(self) -> bytes:
        """Return all that is needed to go on after the frame that `next` gave last."""

    def abandon(self) -> None:
        """Stop what runs elsewhere: the task ends before the engine does. Never raises."""

    def close(self) -> None:
        """Give back all that is held here; what runs elsewhere may be gone on with from `state`.

        The second time does nothing.
        """
