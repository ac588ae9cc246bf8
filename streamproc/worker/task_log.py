"""Kafka producer and consumer for task logs: append records, read a partition up to an offset.

Appends are pipelined: `append` returns at once, `settle` waits. After a failed append, no later
append may count, so `settle` raises and the caller claims and folds again.
"""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from queue import SimpleQueue
from typing import Any

import msgspec
from confluent_kafka import (
    OFFSET_END,
    Consumer,
    KafkaError,
    KafkaException,
    Message,
    Producer,
    TopicPartition,
)

from streamproc.clients.chunk_messages import chunk_record
from streamproc.clients.kafka import (
    KafkaSettings,
    client_config,
    consumer_config,
    poll_batch,
    producer_config,
)
from streamproc.contract.records import (
    BadRecordError,
    ChunkRecord,
    Continue,
    DeadLetter,
    Submitted,
    TaskMessage,
    encode_task_message,
)
from streamproc.contract.topics import CHUNKS, DLQ, MAX_MESSAGE_BYTES
from streamproc.errors import LogUnavailableError, TaskFailedError
from streamproc.worker.task_state import TaskState

_ACK_TIMEOUT_S = 30.0
_READ_TIMEOUT_S = 30.0
_POLL_S = 0.1
_HURRY_S = 0.02  # a flush stops lingering, for all tasks; then batches grow again
_LOOK_S = 0.002  # librdkafka checks every 10 ms whether a flush is over; acks take 1 or 2


class Pending:
    """Unacknowledged records of one partition. Used by one task's slice; thread-safe."""

    def __init__(self) -> None:
        self._done = threading.Condition()
        self._n_open = 0
        self._failure: KafkaError | None = None
        self.last_position = -1

    def opened(self) -> None:
        with self._done:
            self._n_open += 1

    def delivered(self, error: KafkaError | None, message: Message) -> None:
        """Process librdkafka's delivery report; called on the poll thread."""
        with self._done:
            self._n_open -= 1
            if error is not None:
                self._failure = self._failure or error
            else:
                self.last_position = max(self.last_position, message.offset() or 0)
            self._done.notify_all()

    @property
    def failed(self) -> bool:
        return self._failure is not None

    @property
    def settled(self) -> bool:
        """Whether there is nothing left to wait for."""
        return self._n_open == 0 or self.failed

    def settle(self, timeout_s: float = _ACK_TIMEOUT_S) -> int:
        """Wait for every ack and return the last record's Kafka offset.

        Raises `LogUnavailableError` if one failed or is missing after `timeout_s`.
        """
        with self._done:
            if not self._done.wait_for(lambda: self.settled, timeout_s):
                raise LogUnavailableError(f"no acknowledgement within {timeout_s:g} s")
            if self._failure is not None:
                raise LogUnavailableError(f"Kafka refused a record: {self._failure.name()}")
            return self.last_position


class LogWriter:
    """The process's idempotent producer, with a thread for its delivery reports."""

    def __init__(self, kafka: KafkaSettings) -> None:
        self._producer = Producer(producer_config(client_config(kafka)))
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._poll, name="delivery", daemon=True)
        self._thread.start()

    def append(self, record: ChunkRecord, partition: int, pending: Pending) -> None:
        """Send a record of video.chunks.

        Raises `LogUnavailableError` if it cannot be queued, `TaskFailedError` if it is too large;
        nothing was sent then.
        """
        self._produce(
            pending,
            topic=CHUNKS,
            partition=partition,
            key=record.task.encode(),
            value=record.value,
            headers=record.headers(),
        )

    def settle(self, pending: Pending) -> int:
        """Flush at once, wait for every ack and return the last record's Kafka offset.

        Raises `LogUnavailableError`, as `Pending.settle`.
        """
        until_s = time.monotonic() + _HURRY_S
        while not pending.settled and time.monotonic() < until_s:
            self._producer.flush(_LOOK_S)
        return pending.settle()

    def send_task(self, message: TaskMessage) -> None:
        """Append a message to its topic, video.tasks or video.live, and wait for its ack."""
        submitted = message.submitted if isinstance(message, Continue) else message
        pending = Pending()
        self._produce(
            pending,
            topic=submitted.topic,
            partition=submitted.partition,
            key=submitted.task.encode(),
            value=encode_task_message(message),
        )
        self.settle(pending)

    def send_dead(self, letter: DeadLetter) -> None:
        """Append a dead letter to video.dlq and wait for its ack."""
        pending = Pending()
        self._produce(
            pending,
            topic=DLQ,
            partition=0,
            key=letter.task.encode(),
            value=msgspec.msgpack.encode(letter),
        )
        self.settle(pending)

    def publish(self, topic: str, key: str, value: bytes) -> None:
        """Send a record without waiting (fire and forget); drop it if it cannot be queued.

        Only for topics of one partition: readers read only partition 0, and an in-process cluster
        has more.
        """
        try:
            self._producer.produce(topic, key=key.encode(), value=value, partition=0)
        except (BufferError, KafkaException):
            return

    def close(self, timeout_s: float) -> None:
        self._producer.flush(timeout_s)
        self._stopping.set()
        self._thread.join()

    def _produce(self, pending: Pending, **record: Any) -> None:
        pending.opened()
        deadline = time.monotonic() + _ACK_TIMEOUT_S
        while True:
            try:
                self._producer.produce(**record, on_delivery=pending.delivered)
            except BufferError as exc:
                if time.monotonic() >= deadline:
                    raise LogUnavailableError("the producer's queue stays full") from exc
                self._stopping.wait(_POLL_S)
            except KafkaException as exc:
                if exc.args[0].code() == KafkaError.MSG_SIZE_TOO_LARGE:
                    raise TaskFailedError(
                        "chunk_too_large", f"a chunk is larger than {MAX_MESSAGE_BYTES} bytes"
                    ) from exc
                raise LogUnavailableError(f"Kafka refused a record: {exc.args[0]}") from exc
            else:
                return

    def _poll(self) -> None:
        while not self._stopping.is_set():
            self._producer.poll(_POLL_S)


class LogReader:
    """Reads parts of video.chunks' partitions. One thread at a time; keep one per slot.

    After a failure it uses a new consumer: a consumer whose brokers were all unavailable was
    observed not to find them for many minutes after their return.
    """

    def __init__(self, kafka: KafkaSettings) -> None:
        self._config = consumer_config(client_config(kafka), "framewire-standing", low_latency=True)
        self._consumer = Consumer(self._config)
        self._has_failed = False
        self._knows_leaders = False

    def end(self, partition: int, timeout_s: float = _READ_TIMEOUT_S) -> int:
        """Return the offset that the next record of the partition will get.

        Raises `LogUnavailableError` if Kafka does not answer within `timeout_s`.
        """
        self._renew()
        try:
            _, high = self._consumer.get_watermark_offsets(
                TopicPartition(CHUNKS, partition), timeout=timeout_s
            )
        except KafkaException as exc:
            self._has_failed = True
            raise LogUnavailableError(f"Kafka does not answer: {exc.args[0]}") from exc
        self._knows_leaders = True
        return int(high)

    def read(self, partition: int, start: int, end: int, task: str) -> Iterator[ChunkRecord]:
        """Yield the task's records at offsets `[start, end)`; invalid records are skipped.

        Raises `LogUnavailableError` if they do not all arrive in time.
        """
        if start >= end:
            return
        key = task.encode()
        self._find_leaders(partition)
        try:
            self._consumer.assign([TopicPartition(CHUNKS, partition, start)])
            deadline = time.monotonic() + _READ_TIMEOUT_S
            position = start
            while position < end:
                for message in poll_batch(self._consumer, _POLL_S):
                    if message.error() is not None:
                        continue
                    position = (message.offset() or 0) + 1
                    if position <= end and message.key() == key:
                        record = _record(message)
                        if record is not None:
                            yield record
                if position < end and self._passed(partition, end):
                    return
                if time.monotonic() >= deadline:
                    self._has_failed = True
                    raise LogUnavailableError("the log could not be read back in time")
        except KafkaException as exc:
            self._has_failed = True
            raise LogUnavailableError(f"the log could not be read: {exc.args[0]}") from exc
        finally:
            self._consumer.unassign()

    def read_on(self, task_state: TaskState, submitted: Submitted, end: int | None = None) -> None:
        """Fold the task's records from `task_state`'s position to offset `end`; None: to the end.

        Raises `LogUnavailableError`, as `read`, and `TaskStateLostError` on a gap.
        """
        partition = submitted.partition
        until = self.end(partition) if end is None else end
        for record in self.read(partition, task_state.fold.position, until, submitted.task):
            task_state.take(record)

    def close(self) -> None:
        self._consumer.close()

    def _find_leaders(self, partition: int) -> None:
        """Ask Kafka which broker has the partition; else librdkafka does so once a second."""
        self._renew()
        if not self._knows_leaders:
            self.end(partition)

    def _renew(self) -> None:
        if self._has_failed:
            old, self._consumer = self._consumer, Consumer(self._config)
            self._has_failed = self._knows_leaders = False
            old.close()

    def _passed(self, partition: int, end: int) -> bool:
        """Return whether the consumer is at or after `end` although no record showed it."""
        (place,) = self._consumer.position([TopicPartition(CHUNKS, partition)])
        return place.offset != OFFSET_END and place.offset >= end


class LogReaders:
    """Pool of a few readers for many threads, because each consumer costs threads."""

    def __init__(self) -> None:
        self._free: SimpleQueue[LogReader] = SimpleQueue()

    def add(self, reader: LogReader) -> None:
        self._free.put(reader)

    @contextmanager
    def lent(self) -> Iterator[LogReader]:
        """Borrow a reader; waits until one is free."""
        reader = self._free.get()
        try:
            yield reader
        finally:
            self._free.put(reader)

    def close(self) -> None:
        """Close the readers that are not borrowed."""
        while not self._free.empty():
            self._free.get().close()


def _record(message: Message) -> ChunkRecord | None:
    try:
        return chunk_record(message)
    except BadRecordError:
        return None
