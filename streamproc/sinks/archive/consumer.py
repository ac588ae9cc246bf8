"""The archive role: a consumer group that writes video.chunks to S3.

One thread polls Kafka, a few others write to S3; the `Archiver`s between them decide. While S3 is
unavailable, the threads retry with exponential back-off, and partitions are paused when the bytes
in memory exceed the budget (backpressure): nothing is lost, and the consumer stays in the group. An
unreadable record, and a task that S3 refuses while it accepts other objects, is skipped with a dead
letter on video.dlq.
"""

import os
import random
import signal
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from queue import Empty, SimpleQueue
from typing import Any

import structlog
from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition

from streamproc.clients.background_producer import Outbox
from streamproc.clients.chunk_messages import chunk_record
from streamproc.clients.conditional_writes import REFUSAL
from streamproc.clients.kafka import client_config, consumer_config, producer_config
from streamproc.clients.object_store import Objects, S3Objects
from streamproc.clients.settings import log_level
from streamproc.consumer_watchdog import ConsumerWatch
from streamproc.contract.records import BadRecordError
from streamproc.contract.setting_error import SettingError
from streamproc.contract.topics import ARCHIVE_GROUP, CHUNKS
from streamproc.errors import ObjectRefusedError, StoreUnavailableError
from streamproc.logging_setup import configure_logging
from streamproc.sinks.archive.actions import (
    Action,
    GiveUp,
    Outcome,
    Seek,
    StoreAction,
    TaskDamaged,
    perform,
    takes_objects,
)
from streamproc.sinks.archive.partition import Archiver
from streamproc.sinks.archive.retention import Retention
from streamproc.sinks.archive.store_check import StoreTrial
from streamproc.sinks.consumer_restarts import run_with_restarts
from streamproc.sinks.dead_letters import KafkaLetters, LoggedLetters
from streamproc.sinks.settings import ArchiveSettings
from streamproc.sinks.skipped_records import DeadLetters, LeftOut

_log = structlog.get_logger("framewire.archive")

BUDGET_BYTES = 64 * 1024 * 1024
N_THREADS = 4
BATCH_RECORDS = 500
POLL_S = 0.05
COMMIT_EVERY_S = 0.5
LEAVE_WITHIN_S = 10.0
BACKOFF_S = (0.1, 5.0)
MAX_TRIES = 10
"""Tries of an action that S3 refuses, or that fails unexpectedly: about 20 s."""


def main(argv: list[str]) -> int:
    """Run until SIGTERM or SIGINT; exit code 2: invalid setting."""
    if argv:
        sys.stderr.write("usage: python -m streamproc archive\n")
        return 2
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    try:
        configure_logging(log_level(os.environ))
        run_archive(ArchiveSettings.from_environ(os.environ), stop)
    except SettingError as exc:
        sys.stderr.write(f"archive: {exc}\n")
        return 2
    return 0


def run_archive(settings: ArchiveSettings, stop: threading.Event) -> None:
    """Archive until `stop` is set, then store buffered records, commit and leave the group.

    Raises `SettingError` if the store does not honour conditional writes.
    """
    store = S3Objects(settings.store, pool_size=N_THREADS)
    shared = client_config(settings.kafka)
    config = consumer_config(shared, ARCHIVE_GROUP, collect_ms=250)
    outbox = Outbox(producer_config(shared))
    letters = KafkaLetters(outbox, "archive", _log)
    watch = ConsumerWatch.reporting(shared, "archive", ARCHIVE_GROUP, settings.watchdog_s, outbox)

    def new_role() -> ArchiveRole:
        role = ArchiveRole(config, store, letters)
        if (ready_file := settings.ready_file) is not None:
            role.on_ready = lambda: ready_file.write_text(str(os.getpid()))
        return role

    trial = StoreTrial(store, stop, _log)
    retention = Retention(store, settings.live_retention_days, stop)
    trial.start()
    retention.start()
    try:
        run_with_restarts(new_role, stop, watch, _log)
    finally:
        stop.set()
        trial.join()
        retention.join()
        outbox.close()
        store.close()
    if trial.failed:
        raise SettingError(REFUSAL)


class ArchiveRole:
    """Drives one `Archiver` per assigned partition."""

    def __init__(
        self, config: Mapping[str, Any], store: Objects, letters: DeadLetters | None = None
    ) -> None:
        """`config`: properties of the consumer."""
        self.on_ready: Any = lambda: None
        self.renew = threading.Event()
        """When set, `run` returns, to be restarted with another consumer."""
        self._letters = letters or LoggedLetters(_log)
        self._positions: dict[int, int] = {}
        self._consumer = Consumer({**config, "on_commit": self._on_commit})
        self._store = store
        self._archivers: dict[int, Archiver] = {}
        self._committed: dict[int, int] = {}
        self._seeks: dict[int, int] = {}
        self._assigned: set[int] = set()
        self._paused = False
        self._pool = ThreadPoolExecutor(N_THREADS, thread_name_prefix="archive-s3")
        self._outcomes: SimpleQueue[tuple[int, Archiver, Outcome]] = SimpleQueue()
        self._abandon = threading.Event()

    def positions(self) -> dict[tuple[str, int], int | None]:
        """Return the next offset to read of each assigned partition. Thread-safe."""
        known = self._positions.copy()
        return {(CHUNKS, p): known.get(p) for p in self._assigned.copy()}

    @property
    def waiting_for(self) -> str | None:
        """What the consumer waits for. Thread-safe."""
        return "s3" if self._paused else None

    def run(self, stop: threading.Event) -> None:
        """Archive until `stop` or `renew` is set."""
        self._consumer.subscribe(
            [CHUNKS], on_assign=self._assign, on_revoke=self._revoke, on_lost=self._lose
        )
        next_commit_s = 0.0
        try:
            while not stop.is_set() and not self.renew.is_set():
                self._turn(self._consumer.consume(BATCH_RECORDS, POLL_S))
                if time.monotonic() >= next_commit_s:
                    self._commit(asynchronous=True)
                    next_commit_s = time.monotonic() + COMMIT_EVERY_S
            self._leave()
        finally:
            self._abandon.set()
            self._pool.shutdown(wait=True, cancel_futures=True)
            self._consumer.close()

    def _turn(self, messages: Sequence[Any]) -> None:
        for message in messages:
            self._take(message)
        self._collect()
        now_s = time.monotonic()
        pressed = self._waiting_bytes() > BUDGET_BYTES // 2
        for partition, archiver in self._archivers.items():
            self._start(partition, archiver, archiver.tick(now_s, pressed=pressed))
        self._seek()
        self._throttle()

    def _take(self, message: Any) -> None:
        if message.error() is not None:
            _log.warning("Kafka reported an error", error=message.error().str())
            return
        partition, position = message.partition(), message.offset()
        if partition in self._seeks or partition not in self._assigned:
            return
        archiver = self._archivers.get(partition)
        if archiver is None:
            archiver = self._archivers[partition] = Archiver(position)
            self._committed[partition] = position
        self._positions[partition] = position + 1
        try:
            record = chunk_record(message)
        except Exception as exc:  # noqa: BLE001 - one record's edge
            code = "bad_record" if isinstance(exc, BadRecordError) else "internal_error"
            key = (message.key() or b"").decode(errors="replace")
            self._letters.put(LeftOut(code, str(exc), key, "", CHUNKS, partition, position))
            archiver.skip(position)
            return
        self._start(partition, archiver, archiver.accept(record, time.monotonic()))

    def _start(self, partition: int, archiver: Archiver, actions: Sequence[Action]) -> None:
        for action in actions:
            if isinstance(action, Seek):
                _log.warning(
                    "gap in a log: reading again", task=action.task, position=action.position
                )
                self._seeks[partition] = action.position
            elif isinstance(action, GiveUp):
                reason = f"archiving stopped: {action.reason}"
                place = (CHUNKS, partition, action.position)
                self._letters.put(LeftOut(action.code, reason, action.task, action.project, *place))
            else:
                self._pool.submit(self._work, partition, archiver, action)

    def _work(self, partition: int, archiver: Archiver, action: StoreAction) -> None:
        """Perform the action in a pool thread, with retries until S3 answers.

        An action that S3 refuses, or that fails unexpectedly, is given up after some tries, and its
        task with it, which would otherwise block the partition's commit for ever. Before that, a
        test write checks whether S3 accepts any object at all.
        """
        backoff_s, limit_s = BACKOFF_S
        n_refused = 0
        while not self._abandon.is_set() and self._archivers.get(partition) is archiver:
            try:
                self._outcomes.put((partition, archiver, perform(self._store, action)))
            except StoreUnavailableError as exc:
                _log.warning(
                    "S3 action failed",
                    task=action.task,
                    reason=str(exc),
                    retry_in_s=round(backoff_s, 1),
                )
                n_refused += isinstance(exc, ObjectRefusedError)
                reason = str(exc)
            except Exception as exc:  # noqa: BLE001 - a thread's edge: the log has the reason
                _log.exception("unexpected failure", task=action.task)
                n_refused += 1
                reason = f"{type(exc).__name__}: {exc}"
            else:
                return
            if n_refused >= MAX_TRIES and takes_objects(self._store):
                self._outcomes.put((partition, archiver, TaskDamaged(action.task, reason)))
                return
            self._abandon.wait(backoff_s * random.uniform(0.5, 1.0))  # noqa: S311 - jitter
            backoff_s = min(backoff_s * 2, limit_s)

    def _collect(self) -> None:
        while True:
            try:
                partition, archiver, outcome = self._outcomes.get_nowait()
            except Empty:
                return
            if self._archivers.get(partition) is archiver:
                self._start(partition, archiver, archiver.done(outcome, time.monotonic()))

    def _seek(self) -> None:
        for partition, position in list(self._seeks.items()):
            try:
                self._consumer.seek(TopicPartition(CHUNKS, partition, position))
            except KafkaException as exc:
                _log.warning("seek failed", partition=partition, reason=str(exc))
            else:
                self._positions[partition] = position
                del self._seeks[partition]

    def _throttle(self) -> None:
        waiting = self._waiting_bytes()
        if not self._paused and waiting > BUDGET_BYTES:
            self._consumer.pause(self._topic_partitions())
            self._paused = True
            _log.warning("consumption paused: records wait for S3", waiting_bytes=waiting)
        elif self._paused and waiting < BUDGET_BYTES // 2:
            self._consumer.resume(self._topic_partitions())
            self._paused = False

    def _waiting_bytes(self) -> int:
        return sum(archiver.buffered_bytes for archiver in self._archivers.values())

    def _commit(self, *, asynchronous: bool, only: set[int] | None = None) -> None:
        offsets = []
        for partition, archiver in self._archivers.items():
            position = archiver.committable()
            if position > self._committed[partition] and (only is None or partition in only):
                offsets.append(TopicPartition(CHUNKS, partition, position))
        if not offsets:
            return
        try:
            if asynchronous:
                self._consumer.commit(offsets=offsets, asynchronous=True)
            else:
                self._consumer.commit(offsets=offsets, asynchronous=False)
        except KafkaException as exc:
            _log.warning("commit failed", reason=str(exc))
            return
        self._committed.update({offset.partition: offset.offset for offset in offsets})

    def _on_commit(self, error: KafkaError | None, offsets: Sequence[TopicPartition]) -> None:
        """Handle the result of a commit: one that a rebalance refused is retried."""
        for found in offsets:
            reason = error or found.error
            if reason is not None and found.partition in self._archivers:
                _log.info(
                    "commit failed: will be retried", partition=found.partition, reason=str(reason)
                )
                self._committed[found.partition] = -1

    def _leave(self) -> None:
        """Store buffered records, for a limited time; records not stored are read again later."""
        self._consumer.pause(self._topic_partitions())
        deadline_s = time.monotonic() + LEAVE_WITHIN_S
        for partition, archiver in self._archivers.items():
            self._start(partition, archiver, archiver.flush(time.monotonic()))
        while time.monotonic() < deadline_s and not all(
            archiver.is_idle for archiver in self._archivers.values()
        ):
            self._consumer.poll(0.01)
            self._collect()
        self._commit(asynchronous=False)

    def _assign(self, consumer: Consumer, partitions: Sequence[TopicPartition]) -> None:
        consumer.incremental_assign(list(partitions))
        self._assigned.update(found.partition for found in partitions)
        if self._paused:
            consumer.pause(list(partitions))
        _log.info("partitions assigned", partitions=sorted(self._assigned))
        self.on_ready()

    def _revoke(self, consumer: Consumer, partitions: Sequence[TopicPartition]) -> None:
        gone = {found.partition for found in partitions}
        self._collect()
        self._commit(asynchronous=False, only=gone)
        self._lose(consumer, partitions)

    def _lose(self, consumer: Consumer, partitions: Sequence[TopicPartition]) -> None:
        for found in partitions:
            self._assigned.discard(found.partition)
            self._archivers.pop(found.partition, None)
            self._seeks.pop(found.partition, None)
            self._positions.pop(found.partition, None)
        consumer.incremental_unassign(list(partitions))

    def _topic_partitions(self) -> list[TopicPartition]:
        return [TopicPartition(CHUNKS, partition) for partition in sorted(self._assigned)]
