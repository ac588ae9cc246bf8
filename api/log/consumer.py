"""The process's one consumer of video.chunks, in a thread of its own.

It assigns every partition, from the offset that the archive has committed: all before it is in
S3. A second thread asks every second how far the archive has come. Both hand what they find to
the event loop: one call per batch.
"""

import asyncio
import contextlib
import threading
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, Protocol

import structlog
from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition

from api.kafka.consumer_watchdog import Pulse
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
    """Where each partition begins, and the end it had then: ready once that is taken in."""

    starts: dict[int, int]
    ends: dict[int, int]


class Batch(NamedTuple):
    """A partition's records in Kafka's order; all before `position` has been handed over."""

    partition: int
    records: list[ChunkRecord]
    position: int


class Receiver(Protocol):
    """Who takes what the threads find; every method is called on the event loop."""

    def on_assigned(self, assigned: Assigned) -> None: ...

    def on_batches(self, batches: list[Batch]) -> None: ...

    def on_archived(self, positions: Mapping[int, int]) -> None: ...

    def on_trouble(self, detail: str | None) -> None:
        """Kafka does not answer (`detail`), or does again (None)."""


class LogConsumer:
    """The two threads; `start` and `close` are called on the loop that receives.

    `config` are the librdkafka properties of every client of this process.
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
        """Take no more records, or go on taking them."""
        if hold:
            self._flow.clear()
        else:
            self._flow.set()

    def _tell(self, call: Callable[..., None], *args: Any) -> None:
        """Call on the loop; a loop that is closed has nobody left to tell."""
        if self._loop is not None:
            with contextlib.suppress(RuntimeError):
                self._loop.call_soon_threadsafe(call, *args)

    def _consume(self) -> None:
        """Read until the end, with another consumer for one that failed or stands still."""
        while not self._stop.is_set():
            self._read()
            if not self._stop.is_set():
                self.n_renewals += 1

    def _read(self) -> None:
        consumer = Consumer(reader_config(self._config, "framewire-api"))
        try:
            if self._assign(consumer):
                self._run(consumer)
        except Exception:  # noqa: BLE001 - a thread's edge: readiness tells the operator
            _log.exception("the log's reader failed: it starts anew")
            self._failed = True
            self._tell(self._receiver.on_trouble, "The reader of the log failed; it starts anew.")
            self._stop.wait(_ASK_S)
        finally:
            consumer.close()

    def _assign(self, consumer: Consumer) -> bool:
        """Find where to begin, trying until Kafka answers; False when stopped before.

        A second consumer goes on where everything before has been handed over.
        """
        if self._positions:
            consumer.assign(
                [TopicPartition(topics.CHUNKS, p, at) for p, at in self._positions.items()]
            )
            return True
        while not self._stop.is_set():
            try:
                assigned = self._find_starts(consumer)
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

    def _find_starts(self, consumer: Consumer) -> Assigned:
        found = consumer.list_topics(topics.CHUNKS, timeout=_TIMEOUT_S).topics[topics.CHUNKS]
        if found.error is not None:
            return Assigned({}, {})
        partitions = sorted(found.partitions)
        asker = Consumer(self._archive_config())
        try:
            committed = _committed(asker, partitions)
        finally:
            asker.close()
        starts: dict[int, int] = {}
        ends: dict[int, int] = {}
        for partition in partitions:
            low, high = consumer.get_watermark_offsets(
                TopicPartition(topics.CHUNKS, partition), timeout=_TIMEOUT_S
            )
            starts[partition] = min(max(committed.get(partition, low), low), high)
            ends[partition] = high
        return Assigned(starts, ends)

    def _run(self, consumer: Consumer) -> None:
        """Hand records over, until the end or until the consumer stands still."""
        places = [(topics.CHUNKS, partition) for partition in self._partitions]
        pulse = Pulse(consumer, places, self._watchdog_s)
        while not self._stop.is_set():
            if not self._flow.wait(_POLL_S):
                pulse.standing(waiting_for="archive")
                continue
            if standing := pulse.standing():
                _log.error("the log's reader stands still: it is made anew", partitions=standing)
                self._tell(self._receiver.on_trouble, "The reader of the log stands still.")
                return
            first = consumer.poll(_POLL_S)
            self._failed = False
            if first is None:
                continue
            # consume() waits for a full batch or its timeout: with 0 it takes what is there.
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
        """A consumer that never joins the archive's group: it only asks for its offsets."""
        return reader_config(self._config, topics.ARCHIVE_GROUP)


def _committed(asker: Consumer, partitions: list[int]) -> dict[int, int]:
    """Return the archive's committed offsets; partitions without one are left out."""
    answers = asker.committed(
        [TopicPartition(topics.CHUNKS, partition) for partition in partitions],
        timeout=_TIMEOUT_S,
    )
    for answer in answers:
        if answer.error is not None:
            raise KafkaException(answer.error)
    return {answer.partition: answer.offset for answer in answers if answer.offset >= 0}


def _batches(messages: list[Message]) -> list[Batch]:
    """Sort messages by partition and read them; what is no record of ours is logged and passed."""
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
        except Exception:  # noqa: BLE001 - one record's edge
            _log.exception("record skipped", partition=partition)
    return [Batch(partition, records[partition], positions[partition]) for partition in records]
