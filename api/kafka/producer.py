"""Producing to Kafka: every message is acknowledged by all in-sync replicas before it counts."""

import asyncio
import contextlib
import threading
from collections.abc import Callable
from typing import Any

import structlog
from confluent_kafka import KafkaError, KafkaException, Message, Producer

from api.errors import UnavailableError
from api.settings import Settings
from streamproc.clients.kafka import producer_config, shared_config
from streamproc.clients.kafka_errors import kafka_trouble
from streamproc.contract import topics

_log = structlog.get_logger("framewire.api.kafka")
_AWAY = "Kafka does not answer; nothing was accepted. Send the request again."


class UnequalPartitionsError(Exception):
    """video.tasks and video.chunks differ in partitions: a task would have no single place."""


def kafka_config(settings: Settings) -> dict[str, Any]:
    """Return the librdkafka properties that all clients of this process share."""
    return shared_config(settings.kafka, settings.kafka_options)


class Publisher:
    """One idempotent producer with its poll thread. Use from one event loop."""

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
        """What `n_partitions` found; None: Kafka has not been asked with success yet."""
        return self._n_partitions

    async def n_partitions(self) -> int:
        """Return the partitions of video.tasks and video.chunks, asked once.

        Raises UnavailableError while Kafka is away, UnequalPartitionsError when they differ.
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
        """Produce one message and return its offset once all replicas have it.

        Raises UnavailableError when no ack came within the deadline: the message may yet be
        there, so what is sent must be safe to send twice.
        """
        loop = asyncio.get_running_loop()
        acked: asyncio.Future[int] = loop.create_future()

        def on_delivery(error: KafkaError | None, message: Message) -> None:
            with contextlib.suppress(RuntimeError):  # the loop may be gone at shutdown
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
        """Produce a message that nobody waits for; `lost` is called when it is not taken.

        `lost` may come from another thread, once the deadline has passed.
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
        await asyncio.to_thread(self._metadata, topics.TASKS, 2.0)

    async def close(self) -> None:
        """Send what is queued, for a short time, and end the thread."""
        await asyncio.to_thread(self._producer.flush, 2.0)
        self._stopping.set()
        await asyncio.to_thread(self._thread.join, 2.0)

    async def _count(self, topic: str) -> int:
        metadata = await asyncio.to_thread(self._metadata, topic, self._deadline_s)
        found = metadata.topics.get(topic)
        if found is None or found.error is not None or not found.partitions:
            raise UnavailableError(f"Kafka has no topic {topic} yet.", code="kafka_unavailable")
        return len(found.partitions)

    def _metadata(self, topic: str, timeout_s: float) -> Any:
        try:
            found = self._producer.list_topics(topic, timeout=timeout_s)
        except KafkaException as exc:
            detail = self._trouble or _AWAY
            raise UnavailableError(detail, code="kafka_unavailable") from exc
        self._trouble = None
        return found

    def _hear(self, error: KafkaError) -> None:
        """Keep what the client says of itself while Kafka does not answer; any thread."""
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
