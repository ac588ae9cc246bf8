"""Worker process (`python -m streamproc worker`): start, heartbeat and shutdown."""

import asyncio
import contextlib
import os
import signal
import socket
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import msgspec
import psutil
import structlog

from models.errors import ModelError
from models.registry import Registry
from streamproc.clients.kafka import client_config
from streamproc.clients.staged_objects import BucketUploads
from streamproc.consumer_watchdog import ConsumerWatch
from streamproc.contract.records import ConsumerBeat, TaskMessage, WorkerBeat
from streamproc.contract.sandbox import Sandbox
from streamproc.contract.setting_error import SettingError
from streamproc.contract.topics import WORKER_GROUP, WORKERS
from streamproc.errors import LogUnavailableError, TaskFailedError
from streamproc.logging_setup import configure_logging
from streamproc.providers.engine_factory import Engines
from streamproc.providers.plan import ModelCache
from streamproc.settings import WorkerSettings, read_settings
from streamproc.source.sandbox.self_test import SandboxMissingError, probed_sandbox
from streamproc.worker.cancellations import Cancellations
from streamproc.worker.dispatcher import Dispatch
from streamproc.worker.faust_app import TaskStream
from streamproc.worker.heartbeats import BEAT_S, Heartbeats
from streamproc.worker.session_cache import SessionCache
from streamproc.worker.slice_runner import SliceRunner
from streamproc.worker.store_outages import StoreOutages
from streamproc.worker.task_log import LogReader, LogReaders, LogWriter
from streamproc.worker.task_state import Incarnation

_log = structlog.get_logger()
_RETRY_S = 1.0
_PROBE_S = 3.0
_DRAIN_SLICES = 3
_FRAMES_AHEAD = 4
"""Frames in perception per thread and task: enough to keep the networks busy between two slices."""


class Worker:
    """All components of one worker process, with their start and stop order."""

    def __init__(self, settings: WorkerSettings, sandbox: Sandbox | None) -> None:
        """`sandbox`: the decoders' sandbox, None if unknown."""
        self._settings = settings
        self._stopping = False
        self._started_ms = now_ms()
        self._sandbox = sandbox
        self._processed = 0
        self._consumer: ConsumerBeat | None = None
        n_threads = (os.cpu_count() or 2) + 1
        self._pool = ThreadPoolExecutor(n_threads, "perceive")
        self._model_cache = ModelCache(Registry(settings.models_dir))
        self._writer = LogWriter(settings.kafka)
        self._cancels = Cancellations(settings.kafka)
        self._sessions = SessionCache(settings.sessions)
        self._readers = LogReaders()
        uploads = BucketUploads(settings.store)
        self._engines = Engines(
            settings,
            self._model_cache,
            self._pool,
            uploads,
            depth=_FRAMES_AHEAD * n_threads,
        )
        runner = SliceRunner(
            Incarnation(settings.worker_id, self._started_ms),
            settings.slice_s,
            self._readers,
            self._writer,
            Heartbeats(settings.kafka),
            self._cancels,
            self._engines,
            self._sessions,
            stopping=lambda: self._stopping,
            now_ms=now_ms,
        )
        self._dispatch = Dispatch(
            runner,
            self._cancels,
            slots=settings.slots,
            openings=settings.openings,
            project_openings=settings.project_openings,
            sessions=settings.sessions,
            kept=self._sessions.by_project,
            store=StoreOutages(uploads.probe),
        )

    async def run(self) -> None:
        """Work until SIGTERM or SIGINT, then hand all tasks over and return (graceful shutdown)."""
        loop = asyncio.get_running_loop()
        stop = asyncio.Event()
        for signum in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(signum, stop.set)
        for _ in range(self._settings.slots + 1):
            self._readers.add(LogReader(self._settings.kafka))
        await asyncio.to_thread(self._warm)
        if not await self._kafka_answers(stop):
            await asyncio.to_thread(self._close)
            return
        stream = TaskStream(self._settings, self._handle, stop.set)
        await stream.start()
        _log.info("worker ready", worker=self._settings.worker_id)
        if self._settings.ready_file is not None:
            self._settings.ready_file.write_text(str(os.getpid()))
        beats = asyncio.create_task(self._beat(stream, stop))
        looks = asyncio.create_task(self._dispatch.look_around())
        watch = ConsumerWatch(
            client_config(self._settings.kafka),
            "worker",
            WORKER_GROUP,
            self._settings.watchdog_s,
            self._note_consumer,
        )
        with watch:
            watch.look_at(stream)
            await stop.wait()
            self._stopping = True
            self._dispatch.stop()
            beats.cancel()
            looks.cancel()
            await stream.stop(_DRAIN_SLICES * self._settings.slice_s + 10)
            await asyncio.to_thread(self._close)

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
        n_frames = await self._dispatch.handle(message, is_ours)
        self._processed += n_frames or 0
        return n_frames is not None

    def _warm(self) -> None:
        """Preload the default detector for the first task."""
        try:
            device, precision = self._engines.resolve(self._settings.providers[0].name)
            if device != "upstream":
                self._model_cache.load(Registry().resolve("detect").ref, device, precision)
        except (ModelError, TaskFailedError) as exc:
            _log.warning("the default detector is not ready", reason=str(exc))

    async def _beat(self, stream: TaskStream, stop: asyncio.Event) -> None:
        process = psutil.Process()
        device, precision = await asyncio.to_thread(self._device)
        before, before_s = 0, time.monotonic()
        while True:
            await asyncio.sleep(BEAT_S)
            if stream.renew.is_set():
                _log.error("consumer stalled: the worker exits to be restarted")
                stop.set()
            self._sessions.sweep()
            consumer = self._consumer
            at_s = time.monotonic()
            fps = (self._processed - before) / (at_s - before_s)
            before, before_s = self._processed, at_s
            beat = WorkerBeat(
                worker=self._settings.worker_id,
                host=socket.gethostname(),
                pid=os.getpid(),
                started_ms=self._started_ms,
                beat_ms=now_ms(),
                device=device,
                precision=precision,
                models=self._model_cache.loaded_refs(),
                slots=self._settings.slots,
                busy=self._dispatch.n_working,
                fps=round(fps, 2),
                processed_frames=self._processed,
                partitions=stream.partitions,
                rss_bytes=process.memory_info().rss,
                sandbox=self._sandbox,
                standing=consumer.standing if consumer else (),
                waiting_for=consumer.waiting_for if consumer else None,
                waiting_for_store=self._dispatch.n_waiting_for_store,
            )
            self._writer.publish(WORKERS, beat.worker, msgspec.msgpack.encode(beat))

    def _note_consumer(self, beat: ConsumerBeat) -> None:
        """Store the watchdog's report; the next heartbeat contains it."""
        self._consumer = beat

    def _device(self) -> tuple[str, str]:
        """Return the first provider's device and precision; fixed while this process runs."""
        try:
            return self._engines.resolve(self._settings.providers[0].name)
        except TaskFailedError:
            return "none", ""

    def _close(self) -> None:
        self._sessions.close()
        self._dispatch.close()
        self._pool.shutdown(wait=True)
        self._cancels.close()
        self._readers.close()
        self._writer.close(10.0)


def now_ms() -> int:
    return time.time_ns() // 1_000_000


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
