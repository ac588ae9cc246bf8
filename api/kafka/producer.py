"""Idempotent Kafka producer: a message counts once all in-sync replicas have acknowledged it."""

import asyncio
import contextlib
import threading
from collections.abc import Callable
from typing import Any

import structlog
from confluent_kafka import KafkaError, KafkaException, Message, Producer

from api.errors import UnavailableError
from api.settings import Settings
from streamproc.clients.kafka import KafkaSettings, client_config, producer_config
from streamproc.clients.kafka_errors import kafka_trouble
from streamproc.contract import topics

_log = structlog.get_logger("framewire.api.kafka")
_SILENT = "Kafka does not answer."
_AWAY = "Kafka does not answer; nothing was accepted. Send the request again."


class UnequalPartitionsError(Exception):
    """video.tasks and video.chunks have different partition counts.

    A task must have the same partition in both.
    """


def kafka_config(settings: Settings) -> dict[str, Any]:
    """Return the librdkafka properties shared by all clients of this process."""
    return client_config(KafkaSettings(settings.kafka, settings.kafka_options))


class Publisher:
    """An idempotent producer with a poll thread. Use from one event loop."""

    def __init__(self, settings: Settings) -> None:
        self._deadline_s = settings.kafka_deadline_s
        self._config = {
            **producer_config(
                kafka_config(settings),
                linger_ms=1,
                timeout_ms=int(settings.kafka_deadline_s * 1000),
            ),
            "error_cb": self._hear,
        }
        self._trouble: str | None = None
        self._producer = Producer(self._config)
        self._n_partitions: int | None = None
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._poll, name="kafka-publish", daemon=True)
        self._thread.start()

    @property
    def known_partitions(self) -> int | None:
        """The result of `n_partitions`; None until Kafka has answered."""
        return self._n_partitions

    async def n_partitions(self) -> int:
        """Return the partition count of video.tasks and video.chunks; cached after one query.

        Raises UnavailableError while Kafka is down, UnequalPartitionsError if the counts differ.
        """
        if self._n_partitions is None:
            tasks = await self._count(topics.TASKS)
            chunks = await self._count(topics.CHUNKS)
            if tasks != chunks:
                raise UnequalPartitionsError(
                    f"{topics.TASKS} has {tasks} partitions, {topics.CHUNKS} has {chunks}"
                )
            self._n_partitions = tasks
        return self._n_partitions

    async def send(self, topic: str, key: str, value: bytes | None, partition: int = 0) -> int:
        """Produce one message and return its offset once all in-sync replicas have it.

        Raises UnavailableError if no ack arrived within the deadline. The message may have been
        written nevertheless, so it must be safe to send twice.
        """
        loop = asyncio.get_running_loop()
        acked: asyncio.Future[int] = loop.create_future()

        def on_delivery(error: KafkaError | None, message: Message) -> None:
            with contextlib.suppress(RuntimeError):  # the loop may be closed at shutdown
                loop.call_soon_threadsafe(_settle, acked, error, message.offset())

        producer = self._producer
        try:
            producer.produce(
                topic, value=value, key=key, partition=partition, on_delivery=on_delivery
            )
            return await asyncio.wait_for(acked, self._deadline_s + 1)
        except (KafkaException, BufferError, TimeoutError) as exc:
            if _is_fatal(exc) and self._producer is producer:
                self._producer = Producer(self._config)
            raise UnavailableError(_AWAY, code="kafka_unavailable") from exc

    def post(
        self, topic: str, key: str, value: bytes, lost: Callable[[], None] = lambda: None
    ) -> None:
        """Produce a message without waiting (fire and forget); call `lost` if it is not accepted.

        `lost` may be called from another thread, after the deadline.
        """

        def on_delivery(error: KafkaError | None, _: Message) -> None:
            if error is not None:
                lost()

        try:
            self._producer.produce(
                topic, value=value, key=key, partition=0, on_delivery=on_delivery
            )
        except (KafkaException, BufferError):
            lost()

    async def check(self) -> None:
        """Raise UnavailableError unless a broker answers now."""
        await asyncio.to_thread(self._metadata, topics.TASKS, 2.0, _SILENT)

    async def close(self) -> None:
        """Flush queued messages, for 2 s at most, and stop the thread."""
        await asyncio.to_thread(self._producer.flush, 2.0)
        self._stopping.set()
        await asyncio.to_thread(self._thread.join, 2.0)

    async def _count(self, topic: str) -> int:
        metadata = await asyncio.to_thread(self._metadata, topic, self._deadline_s)
        found = metadata.topics.get(topic)
        if found is None or found.error is not None or not found.partitions:
            raise UnavailableError(f"Kafka has no topic {topic} yet.", code="kafka_unavailable")
        return len(found.partitions)

    def _metadata(self, topic: str, timeout_s: float, away: str = _AWAY) -> Any:
        try:
            found = self._producer.list_topics(topic, timeout=timeout_s)
        except KafkaException as exc:
            detail = self._trouble or away
            raise UnavailableError(detail, code="kafka_unavailable") from exc
        self._trouble = None
        return found

    def _hear(self, error: KafkaError) -> None:
        """Remember the client's error while Kafka does not answer (`error_cb`); any thread."""
        found = kafka_trouble(error.name(), error.str())
        if found is not None and found.sentence != self._trouble:
            self._trouble = found.sentence
            _log.warning("Kafka cannot be used", reason=found.sentence)

    def _poll(self) -> None:
        while not self._stopping.is_set():
            self._producer.poll(0.1)


def _settle(acked: asyncio.Future[int], error: KafkaError | None, offset: int | None) -> None:
    if acked.done():
        return
    if error is not None:
        acked.set_exception(KafkaException(error))
    else:
        acked.set_result(-1 if offset is None else offset)


def _is_fatal(error: Exception) -> bool:
    cause = error.args[0] if error.args else None
    return isinstance(cause, KafkaError) and bool(cause.fatal())
