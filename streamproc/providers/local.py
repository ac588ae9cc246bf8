"""The `openvino` provider: decoding, perception and tracking on this machine.

A feeder thread reads frames from the decoder, submits each to the shared perception pool and queues
the futures in frame order. The session's thread reads them in that order and passes them through
the tracker. The queue is bounded, so a task holds only a few frames. It stays warm between slices.
"""

import queue
import threading
from collections.abc import Callable
from concurrent.futures import CancelledError, Executor, Future
from contextlib import suppress
from dataclasses import dataclass
from typing import Literal

import msgspec
import structlog

from models.errors import ModelError
from streamproc.providers.engine import EndOfStream, FrameResult
from streamproc.providers.failures import task_failure
from streamproc.source.errors import SourceError
from streamproc.source.frame_source import Frame, FrameSource
from streamproc.source.types import FrameCounts, ResumePoint
from streamproc.stages.frame_tracker import FrameTracker, TrackedFrame, perceive_and_release
from streamproc.stages.perception import Perception, Plan, View
from streamproc.stages.tracking.parameters import TrackParameters
from streamproc.stages.tracking.state import TrackerState


class AnnouncedStream(msgspec.Struct, frozen=True):
    """Source properties as reported in chunks: the same in all of them, after any reopening."""

    total_frames: int | None
    total_is_exact: bool
    fps: float


class LocalState(msgspec.Struct, frozen=True):
    """The engine's checkpoint: the source's position, and the tracker's complete state.

    `seekable`: the original can be read from its middle; if not, a copy may be staged. `told` is
    missing in states of older versions. `content` identifies the source by its bytes only;
    `validators_differ`: its origin sends different validators for the same bytes.
    """

    frame: ResumePoint
    emitted: int
    tracker: TrackerState
    best: dict[int, float]
    seekable: bool = True
    told: AnnouncedStream | None = None
    content: str | None = None
    validators_differ: bool = False


@dataclass(frozen=True, slots=True)
class _Seen:
    """A frame in progress: its position and counters, and the future result of perception."""

    frame: ResumePoint
    time_s: float
    size: tuple[int, int] | None
    perception: Future[Perception]


_Item = _Seen | EndOfStream | BaseException
_log = structlog.get_logger()
_STATE = msgspec.msgpack.Decoder(LocalState)
_POLL_S = 0.1


def needs_staged(state: bytes | None) -> bool:
    """Return whether a task with this checkpoint may have a staged source; None: it may."""
    return state is None or not _STATE.decode(state).seekable


class LocalEngine:
    """Implements `providers.engine.Engine` with a source, a plan and the worker's shared pool."""

    def __init__(
        self,
        open_source: Callable[[ResumePoint | None], FrameSource],
        plan: Plan,
        pool: Executor,
        *,
        tracking: TrackParameters,
        max_frames: int | None,
        include_vector: bool,
        depth: int,
        state: bytes | None,
        pin: str | None = None,
        is_staged: bool = False,
    ) -> None:
        """Open the source and start to read. Raises `TaskFailedError` if it cannot be opened.

        Raises `UploadsUnavailableError` if it is in S3 and S3 is unavailable; so does `next`.
        `pin`: the source's pin in the log. It is kept for the staged copy of that source, and for
        the same bytes whose validators change each time.
        """
        self._plan, self._pool, self._max_frames = plan, pool, max_frames
        restored = None if state is None else _STATE.decode(state)
        self._tracker = FrameTracker(
            plan,
            tracking,
            include_vector=include_vector,
            state=None if restored is None else restored.tracker,
            best=None if restored is None else restored.best,
        )
        self._emitted = 0 if restored is None else restored.emitted
        self._last = None if restored is None else restored.frame
        self._given_out = self._emitted
        try:
            self._source = open_source(self._last)
        except SourceError as exc:
            raise task_failure(exc) from exc
        info = self._source.info
        self._validators_differ = restored is not None and restored.validators_differ
        is_same = is_staged or (pin != info.fingerprint and self._has_the_bytes_of(restored))
        self._pin = pin if pin and is_same else info.fingerprint
        self._seekable = info.seekable and not is_staged
        told = None if restored is None else restored.told
        self._announced = told or AnnouncedStream(
            info.total_frames, info.total_is_exact, round(info.fps, 3)
        )
        self._items: queue.Queue[_Item] = queue.Queue(depth)
        self._closing = threading.Event()
        self._feeder = threading.Thread(target=self._feed, name="feeder", daemon=True)
        self._feeder.start()

    @property
    def pin(self) -> str:
        return self._pin

    @property
    def checkpoints_every_chunk(self) -> bool:
        return False

    def next(self, timeout_s: float) -> FrameResult | EndOfStream | None:
        try:
            item = self._items.get(timeout=timeout_s)
        except queue.Empty:
            return None
        if isinstance(item, EndOfStream):
            return item
        if isinstance(item, BaseException):
            raise task_failure(item) from item
        try:
            info = self._source.info
            tracked = self._tracker.track(
                item.perception.result(),
                item.time_s,
                item.frame.index,
                (info.width, info.height),
            )
        except (ModelError, SourceError, CancelledError) as exc:
            raise task_failure(exc) from exc
        return self._result(item, tracked)

    def state(self) -> bytes:
        if self._last is None:
            raise ValueError("there is no state before the first frame")
        return msgspec.msgpack.encode(
            LocalState(
                self._last,
                self._emitted,
                self._tracker.state(),
                self._tracker.best,
                self._seekable,
                self._announced,
                self._source.content,
                self._validators_differ or self._source.validators_differ,
            )
        )

    def abandon(self) -> None:
        """Do nothing: there is no remote work."""

    def close(self) -> None:
        self._closing.set()
        self._source.close()
        while self._feeder.is_alive():
            with suppress(queue.Empty):
                self._items.get(timeout=_POLL_S)
        self._feeder.join()

    def _has_the_bytes_of(self, restored: LocalState | None) -> bool:
        """Return whether this is the state's source although its origin's validators differ."""
        if restored is None or restored.content != self._source.content:
            return False
        with suppress(SourceError):  # then it is a different one
            return restored.validators_differ or self._source.look_for_servers()
        return False

    def _result(self, item: _Seen, tracked: TrackedFrame) -> FrameResult:
        aspect = self._source.info.sample_aspect
        self._emitted += 1
        self._last = item.frame
        return FrameResult(
            frame_index=item.frame.index,
            pts=item.frame.pts,
            total_frames=self._announced.total_frames,
            counts=item.frame.counts,
            fps=self._announced.fps,
            targets=tracked.targets,
            vectors=tracked.vectors,
            time_s=item.time_s,
            sample_aspect=None if aspect == (1, 1) else aspect,
            frame_size=item.size,
            total_is_exact=self._announced.total_is_exact,
            index_is_exact=not item.frame.index_is_estimate,
        )

    def _feed(self) -> None:
        """Read frames and submit them, until the end, an error or `close`."""
        try:
            counts = FrameCounts()
            for frame in self._source:
                if self._given_out == self._max_frames:
                    frame.release()
                    self._put(self._end("max_frames", counts))
                    return
                self._given_out += 1
                counts = frame.counts
                if not self._put(self._submitted(frame)):
                    return
            self._put(self._end("stop", self._source.usage().counts))
        except BaseException as exc:  # noqa: BLE001 - the thread's edge: the session re-raises it
            if not isinstance(exc, SourceError):
                _log.exception("the feeder failed")
            self._put(exc)

    def _submitted(self, frame: Frame) -> _Seen:
        info = self._source.info
        view = View(frame.image, frame.scaled, info.shape)
        future = self._pool.submit(perceive_and_release, view, self._plan, frame.release)
        return _Seen(frame.resume_point, frame.time_s, frame.size, future)

    def _end(self, reason: Literal["stop", "max_frames"], counts: FrameCounts) -> EndOfStream:
        told, n_frames = self._announced, self._source.n_frames
        return EndOfStream(
            reason=reason,
            counts=counts,
            total_frames=told.total_frames if n_frames is None else n_frames,
            fps=told.fps,
            total_is_exact=told.total_is_exact or n_frames is not None,
        )

    def _put(self, item: _Item) -> bool:
        """Queue an item; False if the engine is being closed."""
        while not self._closing.is_set():
            try:
                self._items.put(item, timeout=_POLL_S)
            except queue.Full:
                continue
            return True
        return False
