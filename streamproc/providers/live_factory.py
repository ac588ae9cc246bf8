"""Opens the engines of live tasks, and knows those that run: for heartbeats."""

import threading
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import Executor
from functools import partial

from streamproc.contract.chunk import Chunk
from streamproc.contract.lag_counts import LagCounts, with_lag
from streamproc.contract.records import LiveSourceState, Submitted
from streamproc.contract.task_spec import LiveOptions
from streamproc.errors import TaskFailedError
from streamproc.providers.live import LiveEngine
from streamproc.providers.live_pictures import LivePictures, TaskPictures
from streamproc.providers.live_recordings import LiveRecordings, TaskRecording
from streamproc.providers.live_state import continued, decode_state
from streamproc.providers.plan import includes_vectors, track_parameters
from streamproc.providers.warm_up import WarmUp
from streamproc.source.errors import SourceError
from streamproc.source.fetch.interrupt import Interrupt
from streamproc.source.fetch.policy import FetchPolicy
from streamproc.source.live.hls.place import Place
from streamproc.source.live.named_sources import Cameras
from streamproc.source.types import FrameOutputs
from streamproc.stages.perception import Plan


class LiveEngines:
    """One instance per worker process; thread-safe."""

    def __init__(
        self,
        cameras: Cameras,
        policy: FetchPolicy,
        pool: Executor,
        pictures: LivePictures | None = None,
        recordings: LiveRecordings | None = None,
    ) -> None:
        """`pool`: where live frames are perceived. `pictures`: keeps some; None: none are kept.

        `recordings`: stores what tasks record; None: nothing is recorded.
        """
        self._cameras, self._policy, self._pool = cameras, policy, pool
        self._pictures, self._recordings = pictures, recordings
        self._warm_up = WarmUp()
        self._lock = threading.Lock()
        self._running: dict[LiveEngine, str] = {}
        self._dropped: Counter[str] = Counter()
        self._lags = LagCounts()

    def open(
        self,
        submitted: Submitted,
        url: str,
        plan: Plan,
        outputs: FrameOutputs,
        state: bytes | None,
        since: Sequence[Chunk],
        epoch: int,
        interrupt: Interrupt,
        last_pts: int | None = None,
    ) -> LiveEngine:
        """Start to read the source at `url`; returns at once.

        `state` is the last checkpoint, `since` what the log has after it, `epoch` that of the
        claim, `last_pts` the timestamp of the log's last frame. Raises `TaskFailedError`
        if the source may not be read.
        """
        spec = submitted.spec
        options = spec.live or LiveOptions()
        is_udp = options.transport == "udp"
        try:
            camera = self._cameras.resolve(url, submitted.project, self._policy, is_udp=is_udp)
        except SourceError as exc:
            raise TaskFailedError(exc.code, str(exc)) from exc
        tracking = track_parameters(spec, plan)
        state = continued(state, since, tracking, plan.class_names, last_pts)
        place = Place(None if state is None else decode_state(state).hls)
        engine = LiveEngine(
            partial(camera.open, interrupt, place),
            plan,
            self._pool,
            interrupt,
            policy=camera.policy,
            outputs=outputs,
            options=options,
            sampling=spec.sampling,
            frames=spec.range,
            max_frames=spec.max_frames,
            tracking=tracking,
            include_vector=includes_vectors(spec),
            state=state,
            pin=camera.pin,
            warm_up=self._warm_up,
            pictures=self._pictures_of(submitted),
            recording=self._recording_of(submitted, epoch),
            on_lag=self._count_lag,
            on_close=self._closed,
        )
        with self._lock:
            self._running[engine] = submitted.task
        return engine

    def states(self) -> tuple[LiveSourceState, ...]:
        """Return the state of each source that is read now."""
        with self._lock:
            running = [*self._running.items()]
        return tuple(engine.source_state(task) for engine, task in running)

    def dropped(self) -> dict[str, int]:
        """Return the frames that were received and not processed since the start, by reason."""
        with self._lock:
            total = self._dropped.copy()
            running = [*self._running]
        for engine in running:
            total.update(engine.dropped())
        return dict(total)

    def lags(self) -> LagCounts:
        """Return the processed frames since the start, by lag."""
        with self._lock:
            return self._lags

    def pictures(self) -> dict[str, int]:
        """Return the pictures that were made since the start, by `PictureResult`."""
        return {} if self._pictures is None else self._pictures.counts()

    def recordings(self) -> dict[str, int]:
        """Return the recorded pieces since the start, by `RecordingResult`."""
        return {} if self._recordings is None else self._recordings.counts()

    def _recording_of(self, submitted: Submitted, epoch: int) -> TaskRecording | None:
        live = submitted.spec.live
        if self._recordings is None or live is None or live.record is None:
            return None
        return self._recordings.of_task(submitted.project, submitted.task, epoch)

    def _pictures_of(self, submitted: Submitted) -> TaskPictures | None:
        if self._pictures is None:
            return None
        return self._pictures.of_task(submitted.project, submitted.task)

    def _count_lag(self, lag_s: float) -> None:
        with self._lock:
            self._lags = with_lag(self._lags, lag_s)

    def _closed(self, engine: LiveEngine) -> None:
        with self._lock:
            if self._running.pop(engine, None) is not None:
                self._dropped.update(engine.dropped())
