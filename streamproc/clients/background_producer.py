"""Records that nobody waits for: heartbeats and dead letters of the roles that only read."""

from collections.abc import Mapping
from typing import Any

from confluent_kafka import KafkaException, Producer

_FLUSH_S = 5.0


class Outbox:
    """A producer for topics of one partition; thread-safe. What cannot be queued is left out."""

    def __init__(self, config: Mapping[str, Any]) -> None:
        """`config` are the properties of the producer (`kafka.producer_config`)."""
        self._producer = Producer(dict(config))

    def publish(self, topic: str, key: str, value: bytes) -> None:
        """Send a record to partition 0. Never raises, never waits."""
        try:
            self._producer.produce(
                topic, key=key.encode(errors="replace"), value=value, partition=0
            )
            self._producer.poll(0)
        except (BufferError, KafkaException):
            return

    def close(self) -> None:
        """Send what waits, for a short time."""
        self._producer.flush(_FLUSH_S)
