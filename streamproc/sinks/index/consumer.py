"""The index role: a consumer group that turns video.tasks and video.chunks into table rows.

One thread: read a batch, recover the tasks that are new here, fold, insert, commit. While
ClickHouse is unavailable the batch waits with exponential back-off, and the consumer stays in the
group: nothing is lost. Unreadable records, and rows that an available ClickHouse refuses, are
skipped with a dead letter on video.dlq.
"""

import os
import random
import signal
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import msgspec
import structlog
from confluent_kafka import Consumer, KafkaException, TopicPartition

from streamproc.clients.background_producer import Outbox
from streamproc.clients.chunk_messages import chunk_record
from streamproc.clients.clickhouse import ClientFactory, client_factory
from streamproc.clients.kafka import client_config, consumer_config, producer_config
from streamproc.clients.settings import log_level, required
from streamproc.consumer_watchdog import ConsumerWatch
from streamproc.contract import env
from streamproc.contract.records import (
    BadRecordError,
    ChunkRecord,
    Continue,
    Submitted,
    decode_task_message,
)
from streamproc.contract.setting_error import SettingError
from streamproc.contract.topics import CHUNKS, INDEX_GROUP, TASK_TOPICS
from streamproc.logging_setup import configure_logging
from streamproc.sinks.consumer_restarts import run_with_restarts
from streamproc.sinks.dead_letters import KafkaLetters, LoggedLetters
from streamproc.sinks.errors import TablesUnavailableError
from streamproc.sinks.index.audit import start_audit
from streamproc.sinks.index.batches import next_batch
from streamproc.sinks.index.indexer import Indexer
from streamproc.sinks.index.lag_history import start_lag_history
from streamproc.sinks.index.tables import IndexTables
from streamproc.sinks.index.task import TaskRows
from streamproc.sinks.index.worker_history import start_worker_history
from streamproc.sinks.settings import IndexSettings
from streamproc.sinks.skipped_records import DeadLetters, LeftOut

_log = structlog.get_logger("framewire.index")

COLLECT_MS = 500
KAFKA_TIMEOUT_S = 10.0
COPIES_LEAVE_S = 3.0
BACKOFF_S = (0.1, 5.0)


def main(argv: list[str]) -> int:
    """Run until SIGTERM or SIGINT; exit code 2: invalid setting."""
    if argv:
        sys.stderr.write("usage: python -m streamproc index\n")
        return 2
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    try:
        configure_logging(log_level(os.environ))
        connect = client_factory(required(os.environ, env.CLICKHOUSE))
        run_index(IndexSettings.from_environ(os.environ), connect, stop)
    except SettingError as exc:
        sys.stderr.write(f"index: {exc}\n")
        return 2
    return 0


def run_index(
    settings: IndexSettings,
    connect: ClientFactory,
    stop: threading.Event,
    on_ready: Callable[[], None] | None = None,
) -> None:
    """Index until `stop` is set, with the audit trail and two histories in threads.

    `connect` opens a clickhouse-connect client; each of the threads has its own.
    Runs in a thread of the process that owns chDB, or in its own process (`main`).
    `on_ready` is called once partitions are assigned; without it, the ready file is written then.
    """
    tables = IndexTables(connect, keep_days=settings.live_retention_days)
    shared = client_config(settings.kafka)
    config = {
        **consumer_config(shared, INDEX_GROUP, collect_ms=COLLECT_MS),
        "partition.assignment.strategy": "range",  # a task's partition of both topics, together
    }
    outbox = Outbox(producer_config(shared))
    letters = KafkaLetters(outbox, "index", _log)
    watch = ConsumerWatch.reporting(shared, "index", INDEX_GROUP, settings.watchdog_s, outbox)

    def ready() -> None:
        if on_ready is not None:
            on_ready()
        elif settings.ready_file is not None:
            settings.ready_file.write_text(str(os.getpid()))

    def new_role() -> IndexRole:
        role = IndexRole(Consumer(config), tables, letters)
        role.on_ready = ready
        return role

    ended = threading.Event()
    audit = start_audit(settings.kafka, settings.audit_days, connect, ended)
    history = start_worker_history(settings.kafka, connect, ended)
    lag = start_lag_history(settings.kafka, connect, ended)
    try:
        run_with_restarts(new_role, stop, watch, _log)
    finally:
        ended.set()
        audit.join(COPIES_LEAVE_S)
        history.join(COPIES_LEAVE_S)
        lag.join(COPIES_LEAVE_S)
        outbox.close()
        tables.close()


class IndexRole:
    """Drives one `Indexer` over all partitions of this process."""

    def __init__(
        self, consumer: Consumer, tables: IndexTables, letters: DeadLetters | None = None
    ) -> None:
        self.on_ready: Callable[[], None] = lambda: None
        self.renew = threading.Event()
        """When set, `run` returns, to be restarted with another consumer."""
        self._letters = letters or LoggedLetters(_log)
        self._consumer = consumer
        self._tables = tables
        self._indexer = Indexer()
        self._next: dict[tuple[str, int], int] = {}
        self._assigned: set[tuple[str, int]] = set()
        self._committed: dict[tuple[str, int], int] = {}
        self._stop = threading.Event()
        self._is_waiting = False

    def positions(self) -> dict[tuple[str, int], int | None]:
        """Return the next offset to read of each assigned partition. Thread-safe."""
        known = self._next.copy()
        return {place: known.get(place) for place in self._assigned.copy()}

    @property
    def waiting_for(self) -> str | None:
        """What the consumer waits for. Thread-safe."""
        return "clickhouse" if self._is_waiting else None

    def run(self, stop: threading.Event) -> None:
        """Index until `stop` or `renew` is set."""
        self._stop = stop
        self._consumer.subscribe(
            [*TASK_TOPICS, CHUNKS],
            on_assign=self._assign,
            on_revoke=self._forget,
            on_lost=self._forget,
        )
        try:
            self._patiently(self._tables.prepare)
            while not stop.is_set() and not self.renew.is_set():
                self._turn()
        finally:
            self._consumer.close()

    def _turn(self) -> None:
        submissions, records = self._read()
        if not submissions and not records:
            self._commit()
            return
        self._recover(submissions, records)
        for submitted, _ in submissions:
            self._indexer.submit(submitted)
        self._tell_left_out()
        if any(self._indexer.lacks_submission(record.task) for record, _ in records):
            records += self._read_submissions()
        for record, partition in records:
            self._take(record, partition)
        written = self._write(self._indexer.rows())
        self._tell_left_out()
        if written:
            self._indexer.written()
            self._commit()

    def _read(self) -> tuple[list[tuple[Submitted, int]], list[tuple[ChunkRecord, int]]]:
        """Return the submissions and records of one batch, with their partitions."""
        submissions: list[tuple[Submitted, int]] = []
        records: list[tuple[ChunkRecord, int]] = []
        for message in next_batch(self._consumer, self._is_ending):
            if message.error() is not None:
                _log.warning("Kafka reported an error", error=str(message.error()))
                continue
            topic, partition, position = message.topic(), message.partition(), message.offset()
            if (topic, partition) not in self._assigned:
                continue
            self._next[topic, partition] = position + 1
            try:
                if topic in TASK_TOPICS:
                    found = decode_task_message(message.value() or b"")
                    submitted = found.submitted if isinstance(found, Continue) else found
                    submissions.append((submitted, partition))
                else:
                    records.append((_chunk_record(message), partition))
            except BadRecordError as exc:
                self._leave_out(message, "bad_record", exc)
            except Exception as exc:  # noqa: BLE001 - one record's edge
                self._leave_out(message, "internal_error", exc)
        return submissions, records

    def _is_ending(self) -> bool:
        return self._stop.is_set() or self.renew.is_set()

    def _recover(
        self,
        submissions: Sequence[tuple[Submitted, int]],
        records: Sequence[tuple[ChunkRecord, int]],
    ) -> None:
        places = {found.task: (found.project, partition) for found, partition in submissions}
        places |= {found.task: (found.project, partition) for found, partition in records}
        unknown = self._indexer.unknown(places)
        if not unknown:
            return
        known = self._patiently(lambda: self._tables.recover(unknown)) or {}
        for task in unknown:
            if task in known and known[task] is None:
                self._indexer.fail(task, *places[task], "its rows cannot be read")
            else:
                self._indexer.recover(task, *places[task], known.get(task))

    def _take(self, record: ChunkRecord, partition: int) -> None:
        topic_partition = (CHUNKS, partition)
        if record.position >= self._next.get(topic_partition, 0):
            return  # after a gap: it will be read again
        if not self._restore(record):
            return
        gap = self._indexer.take(partition, record)
        if gap is None:
            return
        _log.warning("gap in a log: reading again", task=record.task, position=gap.position)
        try:
            self._consumer.seek(TopicPartition(CHUNKS, partition, gap.position))
        except KafkaException as exc:
            _log.warning("seek failed", partition=partition, reason=str(exc))
        else:
            self._next[topic_partition] = gap.position

    def _restore(self, record: ChunkRecord) -> bool:
        """Read tracks that are seen again after a long time; False if the process stops first."""
        ids = self._indexer.evicted(record)
        if not ids:
            return True
        try:
            found = self._patiently(lambda: self._tables.tracks(record.task, ids))
        except msgspec.ValidationError as exc:
            partition = self._indexer.partition_of(record.task)
            reason = f"its rows cannot be read: {exc}"
            self._indexer.fail(record.task, record.project, partition, reason)
            return True
        if found is not None:
            self._indexer.restore(record.task, *found)
        return found is not None

    def _read_submissions(self) -> list[tuple[ChunkRecord, int]]:
        """Read the task messages to their current end: a submission is before the first chunk.

        Returns chunk records that arrived meanwhile, of newly assigned partitions.
        """
        late: list[tuple[ChunkRecord, int]] = []
        deadline_s = time.monotonic() + KAFKA_TIMEOUT_S
        try:
            wanted = {
                (found.topic, found.partition): self._consumer.get_watermark_offsets(
                    found, KAFKA_TIMEOUT_S
                )
                for topic in TASK_TOPICS
                for found in self._partitions(topic)
            }
            self._consumer.pause(self._partitions(CHUNKS))
            try:
                while time.monotonic() < deadline_s and self._are_behind(wanted):
                    submissions, records = self._read()
                    self._recover(submissions, records)
                    for submitted, _ in submissions:
                        self._indexer.submit(submitted)
                    late += records
            finally:
                self._consumer.resume(self._partitions(CHUNKS))
        except KafkaException as exc:
            _log.warning("task messages cannot be read", reason=str(exc))
        return late

    def _are_behind(self, wanted: Mapping[tuple[str, int], tuple[int, int]]) -> bool:
        """Return whether a partition is not read to its end; `wanted`: low and high."""
        for place, (low, high) in wanted.items():
            if place not in self._assigned:
                continue
            if place not in self._next:
                topic_partition = TopicPartition(*place)
                known = self._consumer.committed([topic_partition], timeout=KAFKA_TIMEOUT_S)
                self._next[place] = max(known[0].offset, low)
            if self._next[place] < high:
                return True
        return False

    def _write(self, rows: TaskRows) -> bool:
        """Insert the rows, task rows last; False if the process stops before that."""
        for table, part in rows.by_table():
            if self._patiently(partial(self._insert, table, part)) is None:
                return False
        return True

    def _insert(self, table: str, rows: Sequence[Any]) -> bool:
        """Insert the rows; rows that cannot be stored are skipped with a dead letter."""
        for refused in self._tables.insert(table, rows):
            row = refused.row
            partition = self._indexer.partition_of(row.task_id)
            position = self._next.get((CHUNKS, partition), 0) - 1
            self._letters.put(
                LeftOut(
                    "row_refused",
                    refused.reason,
                    row.task_id,
                    row.project,
                    CHUNKS,
                    partition,
                    position,
                )
            )
        return True

    def _leave_out(self, message: Any, code: str, exc: Exception) -> None:
        key = (message.key() or b"").decode(errors="replace")
        place = (message.topic(), message.partition(), message.offset())
        self._letters.put(LeftOut(code, str(exc), key, "", *place))

    def _tell_left_out(self) -> None:
        for left_out in self._indexer.take_left_out():
            self._letters.put(left_out)

    def _patiently(self, call: Callable[[], Any]) -> Any:
        """Return `call()`, retried until ClickHouse answers; None if the process stops first."""
        backoff_s, limit_s = BACKOFF_S
        while not self._stop.is_set():
            try:
                result = call()
            except TablesUnavailableError as exc:
                _log.warning(
                    "ClickHouse is unavailable", reason=str(exc), retry_in_s=round(backoff_s, 1)
                )
            else:
                if self._is_waiting:
                    self._is_waiting = False
                    self._consumer.resume(self._partitions())
                return result
            self._is_waiting = True
            self._consumer.pause(self._partitions())
            self._consumer.poll(0)  # keeps the group membership; all partitions are paused
            self._stop.wait(backoff_s * random.uniform(0.5, 1.0))  # noqa: S311 - jitter
            backoff_s = min(backoff_s * 2, limit_s)
        return None

    def _commit(self) -> None:
        chunks = {p: n for (topic, p), n in self._next.items() if topic == CHUNKS}
        wanted = {(CHUNKS, p): n for p, n in self._indexer.committable(chunks).items()}
        wanted |= {(t, p): n for (t, p), n in self._next.items() if t in TASK_TOPICS}
        offsets = [
            TopicPartition(topic, partition, position)
            for (topic, partition), position in wanted.items()
            if position > self._committed.get((topic, partition), 0)
        ]
        if not offsets:
            return
        try:
            self._consumer.commit(offsets=offsets, asynchronous=False)
        except KafkaException as exc:
            _log.warning("commit failed", reason=str(exc))
            return
        self._committed.update({(o.topic, o.partition): o.offset for o in offsets})

    def _assign(self, consumer: Consumer, partitions: Sequence[TopicPartition]) -> None:
        consumer.assign(list(partitions))
        self._assigned = {(found.topic, found.partition) for found in partitions}
        if self._is_waiting:
            consumer.pause(list(partitions))
        _log.info("partitions assigned", n_partitions=len(partitions))
        self.on_ready()

    def _forget(self, consumer: Consumer, partitions: Sequence[TopicPartition]) -> None:
        self._indexer.forget(found.partition for found in partitions)
        for found in partitions:
            self._assigned.discard((found.topic, found.partition))
            self._next.pop((found.topic, found.partition), None)
            self._committed.pop((found.topic, found.partition), None)
        consumer.unassign()

    def _partitions(self, topic: str | None = None) -> list[TopicPartition]:
        return [TopicPartition(t, p) for t, p in sorted(self._assigned) if topic in {None, t}]


def _chunk_record(message: Any) -> ChunkRecord:
    return chunk_record(message)
