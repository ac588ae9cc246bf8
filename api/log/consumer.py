"""Kafka consumer of video.chunks, one per process, in a thread of its own.

It assigns itself all partitions, from the archive's committed offset on: earlier records are in
S3. A second thread queries the archive's committed offsets every second. Both threads pass their
results to the event loop: one call per batch.
"""

import asyncio
import contextlib
import threading
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, Protocol

import structlog
from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition

from api.kafka.consumer_watchdog import ConsumerPulse
from streamproc.clients.chunk_messages import chunk_record
from streamproc.clients.kafka import reader_config
from streamproc.contract import topics
from streamproc.contract.records import BadRecordError, ChunkRecord
from streamproc.contract.watchdog import DEFAULT_LIMIT_S

_POLL_S = 0.2
_BATCH = 1000
_ASK_S = 1.0
_TIMEOUT_S = 5.0
_MAX_PENDING_BATCHES = 8

_log = structlog.get_logger("framewire.api.log")


class Assigned(NamedTuple):
    """Start offset of each partition, and its end offset at that time.

    The tail is ready once it has received all records before the ends.
    """

    starts: dict[int, int]
    ends: dict[int, int]


class Batch(NamedTuple):
    """Records of one partition in Kafka's order; with them all before `position` is delivered."""

    partition: int
    records: list[ChunkRecord]
    position: int


class Receiver(Protocol):
    """Callbacks for the results of the threads; each is called on the event loop."""

    def on_assigned(self, assigned: Assigned) -> None: ...

    def on_batches(self, batches: list[Batch]) -> None: ...

    def on_archived(self, positions: Mapping[int, int]) -> None: ...

    def on_trouble(self, detail: str | None) -> None:
        """Report that Kafka does not answer (`detail`), or answers again (None)."""


class LogConsumer:
    """The two threads. Call `start` and `close` on the event loop of the receiver.

    `config` holds the librdkafka properties of every client of this process.
    """

    def __init__(
        self,
        config: Mapping[str, Any],
        receiver: Receiver,
        watchdog_s: float = DEFAULT_LIMIT_S,
    ) -> None:
        self._config = config
        self._watchdog_s = watchdog_s
        self._positions: dict[int, int] = {}
        self.n_renewals = 0
        self._receiver = receiver
        self._stop = threading.Event()
        self._flow = threading.Event()
        self._flow.set()
        self._pending = threading.BoundedSemaphore(_MAX_PENDING_BATCHES)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._threads = [
            threading.Thread(target=self._consume, name="chunks", daemon=True),
            threading.Thread(target=self._watch_archive, name="archived", daemon=True),
        ]
        self._partitions: list[int] = []
        self._assigned = threading.Event()
        self._failed = False

    def start(self) -> None:
        self._loop = asyncio.get_running_loop()
        for thread in self._threads:
            thread.start()

    async def close(self) -> None:
        """Stop both threads and wait for them."""
        self._stop.set()
        self._flow.set()
        self._assigned.set()
        for thread in self._threads:
            if thread.ident is not None:
                await asyncio.to_thread(thread.join)

    def hold(self, hold: bool) -> None:
        """Pause consuming if `hold`, else resume."""
        if hold:
            self._flow.clear()
        else:
            self._flow.set()

    def _tell(self, call: Callable[..., None], *args: Any) -> None:
        """Schedule the call on the event loop; do nothing if the loop is closed."""
        if self._loop is not None:
            with contextlib.suppress(RuntimeError):
                self._loop.call_soon_threadsafe(call, *args)

    def _consume(self) -> None:
        """Read until `close`; replace a consumer that fails or makes no progress."""
        while not self._stop.is_set():
            self._read()
            if not self._stop.is_set():
                self.n_renewals += 1

    def _read(self) -> None:
        consumer = Consumer(reader_config(self._config, "framewire-api"))
        asker = Consumer(self._archive_config())
        try:
            if self._assign(consumer, asker):
                self._run(consumer, asker)
        except Exception:  # noqa: BLE001 - top of a thread: readiness reports it to the operator
            _log.exception("log consumer failed: restarting")
            self._failed = True
            self._tell(self._receiver.on_trouble, "The log consumer failed and is restarting.")
            self._stop.wait(_ASK_S)
        finally:
            asker.close()
            consumer.close()

    def _assign(self, consumer: Consumer, asker: Consumer) -> bool:
        """Assign the start offsets; retry until Kafka answers. Return False if stopped before.

        A replacement consumer continues after the last delivered records.
        """
        if self._positions:
            consumer.assign(
                [TopicPartition(topics.CHUNKS, p, at) for p, at in self._positions.items()]
            )
            return True
        while not self._stop.is_set():
            try:
                assigned = self._find_starts(asker)
            except KafkaException as exc:
                _log.warning("kafka does not answer", error=str(exc))
                self._tell(self._receiver.on_trouble, "Kafka does not answer.")
                self._stop.wait(_ASK_S)
                continue
            if not assigned.starts:
                self._tell(self._receiver.on_trouble, "The topics are not there yet.")
                self._stop.wait(_ASK_S)
                continue
            self._tell(self._receiver.on_assigned, assigned)
            consumer.assign(
                [TopicPartition(topics.CHUNKS, p, start) for p, start in assigned.starts.items()]
            )
            self._partitions = sorted(assigned.starts)
            self._positions = dict(assigned.starts)
            self._assigned.set()
            return True
        return False

    def _find_starts(self, asker: Consumer) -> Assigned:
        found = asker.list_topics(topics.CHUNKS, timeout=_TIMEOUT_S).topics[topics.CHUNKS]
        if found.error is not None:
            return Assigned({}, {})
        partitions = sorted(found.partitions)
        committed = _committed(asker, partitions)
        starts: dict[int, int] = {}
        ends: dict[int, int] = {}
        for partition in partitions:
            low, high = asker.get_watermark_offsets(
                TopicPartition(topics.CHUNKS, partition), timeout=_TIMEOUT_S
            )
            starts[partition] = min(max(committed.get(partition, low), low), high)
            ends[partition] = high
        return Assigned(starts, ends)

    def _run(self, consumer: Consumer, asker: Consumer) -> None:
        """Deliver records until `close`, or until the consumer makes no progress."""
        places = [(topics.CHUNKS, partition) for partition in self._partitions]
        pulse = ConsumerPulse(consumer, asker, places, self._watchdog_s)
        while not self._stop.is_set():
            if not self._flow.wait(_POLL_S):
                pulse.stalled(waiting_for="archive")
                continue
            if stalled := pulse.stalled():
                _log.error("log consumer makes no progress: recreating it", partitions=stalled)
                self._tell(self._receiver.on_trouble, "The log consumer makes no progress.")
                return
            first = consumer.poll(_POLL_S)
            self._failed = False
            if first is None:
                continue
            # consume() waits for a full batch or its timeout: with 0 it returns what is queued.
            batches = _batches([first, *consumer.consume(_BATCH, 0)])
            if not batches:
                continue
            while not self._pending.acquire(timeout=_POLL_S):
                if self._stop.is_set():
                    return
            self._tell(self._deliver, batches)
            self._positions |= {batch.partition: batch.position for batch in batches}

    def _deliver(self, batches: list[Batch]) -> None:
        self._pending.release()
        self._receiver.on_batches(batches)

    def _watch_archive(self) -> None:
        self._assigned.wait()
        asker = Consumer(self._archive_config())
        try:
            while not self._stop.wait(_ASK_S):
                try:
                    positions = _committed(asker, self._partitions)
                except KafkaException as exc:
                    _log.warning("the archive's offsets cannot be read", error=str(exc))
                    self._tell(self._receiver.on_trouble, "Kafka does not answer.")
                    continue
                self._tell(self._receiver.on_archived, positions)
                if not self._failed:
                    self._tell(self._receiver.on_trouble, None)
        finally:
            asker.close()

    def _archive_config(self) -> dict[str, Any]:
        """Configure a consumer that queries the archive group's offsets without joining it."""
        return reader_config(self._config, topics.ARCHIVE_GROUP)


def _committed(asker: Consumer, partitions: list[int]) -> dict[int, int]:
    """Return the archive's committed offsets, without partitions that have none."""
    answers = asker.committed(
        [TopicPartition(topics.CHUNKS, partition) for partition in partitions],
        timeout=_TIMEOUT_S,
    )
    for answer in answers:
        if answer.error is not None:
            raise KafkaException(answer.error)
    return {answer.partition: answer.offset for answer in answers if answer.offset >= 0}


def _batches(messages: list[Message]) -> list[Batch]:
    """Group messages by partition and parse them; invalid records are logged and skipped."""
    records: dict[int, list[ChunkRecord]] = {}
    positions: dict[int, int] = {}
    for message in messages:
        error = message.error()
        if error is not None:
            if error.code() != KafkaError._PARTITION_EOF:  # noqa: SLF001 - its public name
                _log.warning("kafka reports", error=str(error))
            continue
        partition, position = message.partition(), message.offset()
        if partition is None or position is None:
            continue
        positions[partition] = position + 1
        found = records.setdefault(partition, [])
        try:
            found.append(chunk_record(message))
        except BadRecordError as exc:
            _log.warning("record skipped", partition=partition, error=str(exc))
        except Exception:  # noqa: BLE001 - one bad record must not stop the reader
            _log.exception("record skipped", partition=partition)
    return [Batch(partition, records[partition], positions[partition]) for partition in records]
