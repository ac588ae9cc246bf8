"""A worker's heartbeats on video.workers."""

import os
import socket
import time
from collections.abc import Sequence

import msgspec
import psutil

from streamproc.contract.bounds import MAX_BEAT_SOURCES
from streamproc.contract.records import ConsumerBeat, WorkerBeat
from streamproc.contract.sandbox import Sandbox
from streamproc.contract.topics import WORKERS
from streamproc.errors import TaskFailedError
from streamproc.providers.engine_factory import Engines
from streamproc.providers.model_cache import ModelCache
from streamproc.settings import WorkerSettings
from streamproc.worker.dispatcher import Dispatch
from streamproc.worker.frame_rate import FrameCounter, FrameRate
from streamproc.worker.task_log import LogWriter


class Reports:
    """Makes and publishes the heartbeats of one worker process."""

    def __init__(
        self,
        settings: WorkerSettings,
        started_ms: int,
        sandbox: Sandbox | None,
        writer: LogWriter,
        models: ModelCache,
        engines: Engines,
        dispatch: Dispatch,
        frames: FrameCounter,
        *,
        sources: Sequence[str] = (),
    ) -> None:
        """`sandbox`: the decoders' sandbox, None if unknown. `sources`: names of named sources."""
        self._sources = tuple(sources[:MAX_BEAT_SOURCES])
        self._settings, self._started_ms, self._sandbox = settings, started_ms, sandbox
        self._writer, self._models, self._engines = writer, models, engines
        self._dispatch, self._frames = dispatch, frames
        self._rate = FrameRate(time.monotonic())
        self._process = psutil.Process()
        self._process.cpu_percent(None)  # the first call only begins to count
        self._device = "none", ""
        self._consumer: ConsumerBeat | None = None

    def note_consumer(self, beat: ConsumerBeat) -> None:
        """Store the watchdog's report; the next heartbeat contains it."""
        self._consumer = beat

    def read_device(self) -> None:
        """Ask for the first provider's device and precision; may take long."""
        try:
            self._device = self._engines.resolve(self._settings.providers[0].name)
        except TaskFailedError:
            self._device = "none", ""

    def publish(self, partitions: tuple[int, ...], device_fault: str | None) -> None:
        """Publish a heartbeat. `device_fault`: why the worker computes nothing."""
        device, precision = self._device
        consumer, n_frames = self._consumer, self._frames.n_frames
        beat = WorkerBeat(
            worker=self._settings.worker_id,
            host=socket.gethostname(),
            pid=os.getpid(),
            started_ms=self._started_ms,
            beat_ms=now_ms(),
            device=device,
            precision=precision,
            models=self._models.loaded_refs(),
            slots=self._settings.slots,
            busy=self._dispatch.n_working,
            fps=round(self._rate.after(time.monotonic(), n_frames), 2),
            processed_frames=n_frames,
            partitions=partitions,
            rss_bytes=self._process.memory_info().rss,
            sandbox=self._sandbox,
            standing=consumer.standing if consumer else (),
            waiting_for=consumer.waiting_for if consumer else None,
            waiting_for_store=self._dispatch.n_waiting_for_store,
            device_fault=device_fault,
            cpu_percent=round(self._process.cpu_percent(None), 1),
            live_slots=self._settings.live_slots,
            live_busy=self._dispatch.n_live,
            sources=self._sources,
            live=self._engines.live.states(),
            dropped=self._engines.live.dropped(),
            pictures=self._engines.live.pictures(),
            recordings=self._engines.live.recordings(),
            lags=self._engines.live.lags(),
        )
        self._writer.publish(WORKERS, beat.worker, msgspec.msgpack.encode(beat))


def now_ms() -> int:
    """Return the Unix time in milliseconds."""
    return time.time_ns() // 1_000_000
