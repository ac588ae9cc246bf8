"""Fire-and-forget Kafka producer for heartbeats and dead letters of the consumer roles."""

from collections.abc import Mapping
from typing import Any

from confluent_kafka import KafkaException, Producer

_FLUSH_S = 5.0


class Outbox:
    """Producer for topics with one partition; thread-safe. Drops records that it cannot queue."""

    def __init__(self, config: Mapping[str, Any]) -> None:
        """`config`: properties of the producer (`kafka.producer_config`)."""
        self._producer = Producer(dict(config))

    def publish(self, topic: str, key: str, value: bytes) -> None:
        """Send a record to partition 0. Never raises and never waits."""
        try:
            self._producer.produce(
                topic, key=key.encode(errors="replace"), value=value, partition=0
            )
            self._producer.poll(0)
        except (BufferError, KafkaException):
            return

    def close(self) -> None:
        """Flush the queued records, for at most 5 s."""
        self._producer.flush(_FLUSH_S)
