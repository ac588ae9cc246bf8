"""The `openvino` provider for live sources: newest first, with bounded latency.

A feeder thread takes frames from the camera's decoder and offers them to perception. The session's
thread takes the results in order and passes them through the tracker.
"""

import threading
import time
from collections.abc import Callable
from concurrent.futures import CancelledError, Executor
from dataclasses import dataclass, replace
from typing import Final, Literal

import structlog

from models.errors import ModelError
from models.sizes import SourceShape
from streamproc.contract.object_keys import PictureInfo
from streamproc.contract.records import LiveSourceState
from streamproc.contract.task_spec import FrameRange, LiveOptions, Sampling
from streamproc.providers.engine import EndOfStream, FrameResult, LiveMark, SourceNotice
from streamproc.providers.failures import task_failure
from streamproc.providers.live_pictures import TaskPictures
from streamproc.providers.live_recordings import TaskRecording
from streamproc.providers.live_state import LiveState, Size, decode_state, encode_state
from streamproc.providers.newest_first import NewestFirst, Perceived
from streamproc.providers.warm_up import WarmUp
from streamproc.source.errors import SourceError
from streamproc.source.fetch.interrupt import Interrupt
from streamproc.source.fetch.policy import FetchPolicy
from streamproc.source.live.connection import LiveConnection
from streamproc.source.live.hls.place import LastFrame
from streamproc.source.live.rtp.keyframe_gate import OnLoss
from streamproc.source.live.source_watch import Rate
from streamproc.source.live_source.accounts import Totals
from streamproc.source.live_source.pictures import Choice, LiveFrame
from streamproc.source.live_source.selection import LiveSelection
from streamproc.source.live_source.source import open_live_source
from streamproc.source.live_source.task_clock import TaskClock
from streamproc.source.types import FrameCounts, FrameOutputs
from streamproc.stages.frame_tracker import FrameTracker
from streamproc.stages.perception import Plan
from streamproc.stages.tracking.parameters import TrackParameters

SAVE_S: Final = 1.0
"""Time between two checkpoints."""
WAKE_S: Final = 0.1
"""Longest time that `next` waits, so that a cancel and a slice's end are seen."""
_log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class _Progress:
    """What a checkpoint says after the last result, besides the tracker's state."""

    totals: Totals
    time_s: float
    size: Size
    hls: LastFrame | None


class LiveEngine:
    """Implements `providers.engine.Engine` with a camera, a plan and the worker's shared pool."""

    def __init__(
        self,
        opens: Callable[[], LiveConnection],
        plan: Plan,
        pool: Executor,
        interrupt: Interrupt,
        *,
        policy: FetchPolicy,
        outputs: FrameOutputs,
        options: LiveOptions,
        sampling: Sampling,
        frames: FrameRange,
        max_frames: int | None,
        tracking: TrackParameters,
        include_vector: bool,
        state: bytes | None,
        pin: str,
        warm_up: WarmUp,
        pictures: TaskPictures | None = None,
        recording: TaskRecording | None = None,
        on_lag: Callable[[float], object] = lambda _: None,
        on_close: Callable[["LiveEngine"], object] = lambda _: None,
    ) -> None:
        """Start to connect; returns at once. `opens` connects and plays, or raises a `SourceError`.

        `warm_up` makes the networks ready, as early as the size of the pictures is known.
        `interrupt` ends everything; `close` sets it. `on_close` is called once, by `close`;
        `on_lag` with each result's lag in s, at least 0, by `next`.
        `pictures`: where pictures of the source are kept, `recording`: where it is recorded; None:
        nowhere.
        """
        self.pin = pin
        self._on_close, self._on_lag = on_close, on_lag
        self._pictures, self._recording = pictures, recording
        self._saved_s = time.monotonic()
        self._dropped_before: dict[str, int] = {}
        self._plan, self._pool, self._max_frames = plan, pool, max_frames
        self._max_lag_s = options.max_lag_s
        restored = None if state is None else decode_state(state)
        self._progress = (
            None
            if restored is None
            else _Progress(restored.totals, restored.time_s, restored.size, restored.hls)
        )
        if restored is not None:
            self._dropped_before = dict(restored.totals.dropped)
        self._n_emitted = 0 if restored is None else restored.processed
        self._tracker = FrameTracker(
            plan,
            tracking,
            include_vector=include_vector,
            state=None if restored is None else restored.tracker,
            best=None if restored is None else restored.best,
        )
        self._selection = LiveSelection(
            sampling, frames, None if restored is None else restored.range_index
        )
        self._clock = TaskClock(
            None if restored is None else restored.first_wall_s,
            None if restored is None else restored.time_s,
        )
        self._frames = NewestFirst(
            plan,
            pool,
            warm_up,
            max_lag_s=options.max_lag_s,
            max_frames=None if max_frames is None else max(0, max_frames - self._n_emitted),
        )
        self._changed = self._frames.changed
        self._end: EndOfStream | BaseException | None = None
        self._processed = Rate()
        self._arrived_s: float | None = None
        self._lag_s: float | None = None
        if restored is not None:
            warm_up.prepared(plan, SourceShape(*restored.size))
        totals = Totals() if restored is None else restored.totals
        self._maker = None if recording is None else recording.maker(totals.index + 1)
        self._source, self._watch = open_live_source(
            opens,
            outputs,
            policy,
            self._choose,
            interrupt,
            clock=self._clock,
            totals=totals,
            on_loss=OnLoss(options.on_loss),
            max_lag_s=options.max_lag_s,
            give_up_s=options.give_up_s,
            has_worked=restored is not None,
            only_keys=sampling.mode == "keyframe",
            wants_still=self._wants_still,
            recording=self._maker,
            announced=lambda size: warm_up.prepared(plan, SourceShape(*size)),
        )
        self._feeder = threading.Thread(target=self._feed, name="live-feeder", daemon=True)
        self._feeder.start()

    @property
    def checkpoints_every_chunk(self) -> bool:
        """True once per `SAVE_S`: what the log has since then is replayed by the next worker."""
        return time.monotonic() - self._saved_s >= SAVE_S

    def next(self, timeout_s: float) -> FrameResult | SourceNotice | EndOfStream | None:
        with self._changed:
            self._changed.wait_for(self._has_next, min(timeout_s, WAKE_S))
            item = self._frames.take()
            is_empty, end = self._frames.is_empty, self._end
        if item is not None:
            return self._result(item)
        if not is_empty:
            return None
        if isinstance(end, BaseException):
            raise task_failure(end) from end
        if end is not None:
            return end
        if self._n_emitted == self._max_frames:
            return self._end_of_stream("max_frames", self._told())
        if self._is_past_the_end():
            return self._end_of_stream("stop", self._told())
        return self._notice()

    def state(self) -> bytes:
        progress = self._progress
        if progress is None:
            raise ValueError("there is no state before the first frame")
        self._saved_s = time.monotonic()
        return encode_state(
            LiveState(
                totals=progress.totals,
                processed=self._n_emitted,
                first_wall_s=self._clock.origin_wall_s,
                time_s=progress.time_s,
                size=progress.size,
                tracker=self._tracker.state(),
                best=self._tracker.best,
                range_index=self._selection.range_index,
                hls=progress.hls,
            )
        )

    def source_state(self, task: str) -> LiveSourceState:
        """Return what a heartbeat says of the source. Any thread."""
        now_s, wall_s = time.monotonic(), time.time()
        with self._source.lock:
            watch = self._watch
            state, since_s, code = watch.state, watch.since_s, watch.code
            n_reconnects, interval_s = watch.n_reconnects, watch.keyframe_interval_s
        with self._changed:
            fps = self._processed.per_s(now_s) or 0.0
            arrived_s, lag_s = self._arrived_s, self._lag_s
        return LiveSourceState(
            task=task,
            state=state,
            since_ms=round(1000 * (wall_s - now_s + since_s)),
            code=code,
            reconnects=n_reconnects,
            last_frame_ms=None if arrived_s is None else round(1000 * (wall_s - now_s + arrived_s)),
            fps=round(fps, 1),
            lag_ms=None if lag_s is None else round(1000 * lag_s),
            keyframe_interval_s=interval_s,
            recording=None if self._recording is None else self._recording.state(),
        )

    def dropped(self) -> dict[str, int]:
        """Return the frames that it received and did not process, by reason. Any thread."""
        progress = self._progress
        now = {} if progress is None else progress.totals.dropped
        return {reason: n - self._dropped_before.get(reason, 0) for reason, n in now.items()}

    def abandon(self) -> None:
        """Do nothing: there is no remote work."""

    def close(self) -> None:
        self._source.close()
        self._feeder.join()
        self._source.close()  # a decoder that was started meanwhile
        self._frames.close()
        if self._maker is not None:
            self._maker.flush()
        self._on_close(self)

    def _has_next(self) -> bool:
        return self._frames.has_next or (self._frames.is_empty and self._end is not None)

    def _result(self, item: Perceived) -> FrameResult:
        frame = item.frame
        size = (frame.shape.width, frame.shape.height)
        try:
            seen = item.result.result()
            if self._progress is not None and self._progress.size != size:
                self._tracker.resize(self._progress.size, size)
            tracked = self._tracker.track(seen, frame.time_s, frame.index, size)
        except (ModelError, SourceError, CancelledError) as exc:
            raise task_failure(exc) from exc
        if self._pictures is not None:
            self._pictures.seen(tracked.newest_id)
        dropped = dict(frame.totals.dropped)
        for reason, n in item.dropped.items():
            dropped[reason] = dropped.get(reason, 0) + n
        totals = Totals(frame.index, frame.totals.decoded, dropped)
        self._note(frame, totals, size)
        return FrameResult(
            frame_index=frame.index,
            pts=frame.arrived.unit.timestamp,
            total_frames=None,
            counts=totals.counts,
            fps=self._fps(),
            targets=tracked.targets,
            vectors=tracked.vectors,
            time_s=frame.time_s,
            sample_aspect=None if frame.shape.pixel_aspect == (1, 1) else frame.shape.pixel_aspect,
            live=self._mark(item, size, dropped),
        )

    def _note(self, frame: LiveFrame, totals: Totals, size: Size) -> None:
        """Remember what a checkpoint and a heartbeat say after this frame."""
        unit = frame.arrived.unit
        hls = None if unit.segment is None else LastFrame(*unit.segment, unit.timestamp)
        self._progress = _Progress(totals, frame.time_s, size, hls)
        self._n_emitted += 1
        lag_s = max(0.0, time.time() - frame.arrived.captured.wall_s)
        self._on_lag(lag_s)
        with self._changed:
            self._processed.add(time.monotonic())
            self._arrived_s = frame.arrived.unit.arrival_s
            self._lag_s = lag_s

    def _mark(self, item: Perceived, size: tuple[int, int], dropped: dict[str, int]) -> LiveMark:
        captured = item.frame.arrived.captured
        return LiveMark(
            captured_wall_s=captured.wall_s,
            is_source_clock=captured.is_source,
            size=size,
            gap=item.gap,
            dropped=dropped,
            recording_lost=None if self._recording is None else self._recording.take_loss(),
        )

    def _fps(self) -> float:
        with self._source.lock:
            measured = self._watch.received.per_s(time.monotonic())
        return round(measured or self._source.declared_fps or 0.0, 1)

    def _notice(self) -> SourceNotice | None:
        with self._source.lock:
            found = self._watch.notice(time.monotonic())
        if found is None:
            return None
        return SourceNotice("lost", found.code, found.n_attempts)

    def _is_past_the_end(self) -> bool:
        """Whether the range is over although no frame came to show it: the camera is lost."""
        elapsed_s = self._clock.elapsed_s(time.monotonic())
        end_s = self._selection.end_s
        if end_s is None or elapsed_s is None:
            return False
        return elapsed_s > end_s + self._max_lag_s

    def _choose(self, index: int, time_s: float, is_key: bool) -> Choice:
        """Decide on a decoded picture, in the order of the stream. The feeder's thread."""
        if self._frames.is_full:
            return Choice.END
        return self._selection.choose(index, time_s, is_key=is_key)

    def _feed(self) -> None:
        """Take frames and submit them, until the end, an error or `close`."""
        try:
            for frame in self._source:
                self._frames.offer(self._kept(frame))
            end: EndOfStream | BaseException = self._end_of_stream(
                "max_frames" if self._frames.is_full else "stop", self._read()
            )
        except BaseException as exc:  # noqa: BLE001 - the thread's edge: the session re-raises it
            if not isinstance(exc, SourceError):
                _log.exception("the live feeder failed")
            end = exc
        with self._changed:
            self._end = end
            self._changed.notify_all()

    def _wants_still(self) -> bool:
        return self._pictures is not None and self._pictures.is_due(time.monotonic())

    def _kept(self, frame: LiveFrame) -> LiveFrame:
        """Let the frame's still be stored, if it has one; return the frame without it."""
        if self._pictures is None or frame.still is None:
            return frame
        captured_ms = round(frame.arrived.captured.wall_s * 1000)
        info = PictureInfo(frame.shape.width, frame.shape.height, frame.index, captured_ms)
        self._pictures.keep(frame.still, info, time.monotonic())
        return replace(frame, still=None)

    def _told(self) -> FrameCounts:
        """Return the counts up to the last result."""
        return FrameCounts() if self._progress is None else self._progress.totals.counts

    def _read(self) -> FrameCounts:
        """Return the counts of all that was received. The feeder's thread."""
        decoded, failed, skipped = self._source.totals.counts
        return FrameCounts(decoded, failed, skipped + self._frames.n_dropped)

    def _end_of_stream(
        self, reason: Literal["stop", "max_frames"], counts: FrameCounts
    ) -> EndOfStream:
        return EndOfStream(reason, counts, fps=self._fps())
