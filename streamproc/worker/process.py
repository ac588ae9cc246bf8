"""Worker process (`python -m streamproc worker`): start, heartbeat and shutdown."""

import asyncio
import contextlib
import os
import signal
import sys
import tempfile
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import msgspec
import structlog

from models.compile_cache import CompileCache
from models.errors import ModelError
from models.registry import Registry
from streamproc.clients.kafka import client_config
from streamproc.clients.staged_objects import BucketUploads
from streamproc.consumer_watchdog import ConsumerWatch
from streamproc.contract.records import TaskMessage
from streamproc.contract.sandbox import Sandbox
from streamproc.contract.setting_error import SettingError
from streamproc.contract.topics import WORKER_GROUP
from streamproc.errors import LogUnavailableError, TaskFailedError
from streamproc.logging_setup import configure_logging
from streamproc.providers.engine_factory import Engines
from streamproc.providers.live_pictures import LivePictures
from streamproc.providers.live_recordings import LiveRecordings
from streamproc.providers.model_cache import ModelCache
from streamproc.settings import WorkerSettings, read_settings
from streamproc.source.live.named_sources import Cameras, load_sources
from streamproc.source.sandbox.jpeg_encoder import encode_jpeg
from streamproc.source.sandbox.self_test import SandboxMissingError, probed_sandbox
from streamproc.worker.cancellations import Cancellations
from streamproc.worker.device_watch import DeviceWatch
from streamproc.worker.dispatcher import Dispatch
from streamproc.worker.faust_app import TaskStream
from streamproc.worker.frame_rate import FrameCounter
from streamproc.worker.heartbeats import BEAT_S, Heartbeats
from streamproc.worker.perception_pool import PerceptionPool
from streamproc.worker.reports import Reports, now_ms
from streamproc.worker.session_cache import SessionCache
from streamproc.worker.slice_runner import SliceRunner
from streamproc.worker.store_outages import StoreOutages
from streamproc.worker.task_log import LogReader, LogReaders, LogWriter
from streamproc.worker.task_state import Incarnation

_log = structlog.get_logger()
_RETRY_S = 1.0
_PROBE_S = 3.0
_DRAIN_SLICES = 3
EXIT_DEVICE = 70
"""Exit code when a device hangs, as EX_SOFTWARE of sysexits.h."""
_LIVE_READERS = 1
"""Readers of the log for live tasks, which need one only between two slices."""
_FRAMES_AHEAD = 4
"""Frames in perception per thread and task: enough to keep the networks busy between two slices."""
_LAST_PIECES_S = 5.0
"""Longest wait of a worker that stops for S3 to take the last pieces of recordings."""


class Worker:
    """All components of one worker process, with their start and stop order."""

    def __init__(self, settings: WorkerSettings, sandbox: Sandbox | None) -> None:
        """`sandbox`: the decoders' sandbox, None if unknown.

        Raises `SettingError` if the file of named sources cannot be used.
        """
        self._settings = settings
        self._cameras = Cameras(load_sources(settings.sources_file), os.environ)
        self._stopping = False
        self._stream: TaskStream | None = None
        started_ms = now_ms()
        n_threads = (os.cpu_count() or 2) + 1
        self._pool = PerceptionPool(n_threads)
        compiled = settings.compile_cache_dir
        self._model_cache = ModelCache(
            Registry(settings.models_dir), None if compiled is None else CompileCache(compiled)
        )
        self._devices = DeviceWatch(self._model_cache)
        self._writer = LogWriter(settings.kafka)
        self._cancels = Cancellations(settings.kafka)
        self._sessions = SessionCache(settings.sessions)
        self._readers = LogReaders()
        uploads = BucketUploads(settings.store)
        self._recordings = LiveRecordings(uploads)
        self._engines = Engines(
            settings,
            self._model_cache,
            self._pool.batch,
            uploads,
            depth=_FRAMES_AHEAD * n_threads,
            cameras=self._cameras,
            live_pool=self._pool.live,
            pictures=_pictures(settings, uploads),
            recordings=self._recordings,
        )
        frames = FrameCounter()
        runner = SliceRunner(
            Incarnation(settings.worker_id, started_ms),
            settings.slice_s,
            self._readers,
            self._writer,
            Heartbeats(settings.kafka),
            self._cancels,
            self._engines,
            self._sessions,
            stopping=lambda: self._stopping,
            now_ms=now_ms,
            on_frame=frames.add,
            live_slice_s=settings.live_slice_s,
        )
        self._dispatch = Dispatch(
            runner,
            self._cancels,
            slots=settings.slots,
            openings=settings.openings,
            project_openings=settings.project_openings,
            sessions=settings.sessions,
            live_slots=settings.live_slots,
            kept=self._sessions.by_project,
            store=StoreOutages(uploads.probe),
        )
        self._reports = Reports(
            settings,
            started_ms,
            sandbox,
            self._writer,
            self._model_cache,
            self._engines,
            self._dispatch,
            frames,
            sources=self._cameras.names,
        )

    async def run(self) -> None:
        """Work until SIGTERM or SIGINT, then hand all tasks over and return (graceful shutdown).

        It also returns, to be restarted, if its consumer stalls or a device computes wrongly.
        """
        loop = asyncio.get_running_loop()
        stop = asyncio.Event()
        for signum in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(signum, stop.set)
        for _ in range(self._settings.slots + 1 + _LIVE_READERS):
            self._readers.add(LogReader(self._settings.kafka))
        if not await self._kafka_answers(stop):
            await asyncio.to_thread(self._close)
            return
        beats = asyncio.create_task(self._beat(stop))
        if await self._devices.until_right(stop, self._warm):
            await self._serve(stop)
        beats.cancel()
        await asyncio.to_thread(self._close)

    async def _serve(self, stop: asyncio.Event) -> None:
        """Take tasks until `stop` is set or a device fails."""
        stream = TaskStream(self._settings, self._handle, stop.set)
        await stream.start()
        self._stream = stream
        _log.info("worker ready", worker=self._settings.worker_id)
        self._report()  # now, not with the next heartbeat: live tasks are given to partitions
        self._announce()
        devices = asyncio.create_task(self._leave_with_device(stop))
        looks = asyncio.create_task(self._dispatch.look_around())
        watch = ConsumerWatch(
            client_config(self._settings.kafka),
            "worker",
            WORKER_GROUP,
            self._settings.watchdog_s,
            self._reports.note_consumer,
        )
        with watch:
            watch.look_at(stream)
            await stop.wait()
            self._stopping = True
            self._dispatch.stop()
            devices.cancel()
            looks.cancel()
            await stream.stop(_DRAIN_SLICES * self._settings.slice_s + 10)

    async def _leave_with_device(self, stop: asyncio.Event) -> None:
        await self._devices.watch()
        self._report()
        if self._devices.hangs:
            # Threads that wait for the device never end; the log is whole without them.
            await asyncio.sleep(BEAT_S)  # the report is on its way
            os._exit(EXIT_DEVICE)
        stop.set()

    def _announce(self) -> None:
        """Write the ready file: the worker takes tasks, or reports why it does not."""
        if self._settings.ready_file is not None:
            self._settings.ready_file.write_text(str(os.getpid()))

    async def _kafka_answers(self, stop: asyncio.Event) -> bool:
        """Wait until Kafka answers (Faust does not wait); False if `stop` is set first."""
        with self._readers.lent() as reader:
            while not stop.is_set():
                try:
                    await asyncio.to_thread(reader.end, 0, _PROBE_S)
                except LogUnavailableError as exc:
                    _log.warning("the worker waits for Kafka", reason=str(exc))
                    await asyncio.sleep(_RETRY_S)
                else:
                    return True
            return False

    async def _handle(self, message: TaskMessage, is_ours: Callable[[], bool]) -> bool:
        """Run a slice until it is done; False: the worker stopped or lost it before that."""
        return await self._dispatch.handle(message, is_ours) is not None

    def _warm(self) -> None:
        """Preload the default detector for the first task."""
        try:
            self._engines.warm()
        except (ModelError, TaskFailedError) as exc:
            _log.warning("the default detector is not ready", reason=str(exc))
        self._reports.read_device()

    async def _beat(self, stop: asyncio.Event) -> None:
        while True:
            await asyncio.sleep(BEAT_S)
            stream = self._stream
            if stream is not None and stream.renew.is_set():
                _log.error("consumer stalled: the worker exits to be restarted")
                stop.set()
            self._sessions.sweep()
            if self._devices.fault is not None and stream is None:
                self._announce()
            self._report()

    def _report(self) -> None:
        stream, fault = self._stream, self._devices.fault
        self._reports.publish(
            () if stream is None else stream.partitions, None if fault is None else str(fault)
        )

    def _close(self) -> None:
        self._sessions.close()
        self._dispatch.close()
        self._recordings.close(_LAST_PIECES_S)
        self._pool.shutdown()
        self._cancels.close()
        self._readers.close()
        self._writer.close(10.0)


def _pictures(settings: WorkerSettings, uploads: BucketUploads) -> LivePictures | None:
    if settings.live_picture_s <= 0:
        return None
    encode = partial(encode_jpeg, require_sandbox=settings.source.require_sandbox)
    return LivePictures(uploads, lambda image: encode(image, (), None), settings.live_picture_s)


def _set_batch_scheduling() -> None:
    """Use `SCHED_BATCH` to avoid wake-up preemption between this process's threads on Linux.

    Networks, decoders (child processes inherit the policy) and Python wake each other up for every
    frame. On a busy CPU, each preemption costs the interrupted thread its CPU caches.
    """
    with contextlib.suppress(OSError):  # a container may forbid it
        os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))


def main(argv: Sequence[str]) -> int:
    """Run the worker role. Exit codes: 2 invalid setting, 1 Kafka lost during the start."""
    if argv:
        sys.stderr.write("the worker is configured by FRAMEWIRE_* variables alone\n")
        return 2
    _set_batch_scheduling()
    try:
        settings = read_settings(os.environ)
        configure_logging(settings.log_level)
        with tempfile.TemporaryDirectory(prefix="framewire-worker-") as state_dir:
            sandbox = probed_sandbox(require=settings.source.require_sandbox)
            worker = Worker(msgspec.structs.replace(settings, state_dir=Path(state_dir)), sandbox)
            asyncio.run(worker.run())
    except (SettingError, SandboxMissingError) as exc:
        sys.stderr.write(f"{exc}\n")
        return 2
    except LogUnavailableError as exc:
        sys.stderr.write(f"{exc}\n")
        return 1
    return 0
