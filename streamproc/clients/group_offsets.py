"""Committed offsets of a consumer group, read without joining it.

Uses a consumer that never joins the group, not the admin client: with the admin client librdkafka
crashes the process (a null pointer, librdkafka issue 5040) when a broker answers that it does not
coordinate the group, as brokers do for seconds after every restart.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from confluent_kafka import Consumer, KafkaException, TopicPartition

Place = tuple[str, int]
_MAX_EVENTS = 1000


class GroupOffsets:
    """Reader of one group's offsets; connects on first use. One thread at a time."""

    def __init__(self, config: Mapping[str, Any], group: str) -> None:
        """`config`: properties common to all clients."""
        self._config = {**config, "group.id": group, "enable.auto.commit": False}
        self._consumer: Consumer | None = None

    def committed(self, places: Sequence[Place], timeout_s: float) -> dict[Place, int]:
        """Return the committed offsets of those partitions that have one.

        Raises `KafkaException` if Kafka does not answer in time.
        """
        if self._consumer is None:
            self._consumer = Consumer(self._config)
        asked = [TopicPartition(*place) for place in places]
        self._consumer.consume(_MAX_EVENTS, 0)  # discard connection events
        found = self._consumer.committed(asked, timeout=timeout_s)
        for one in found:
            if one.error is not None:
                raise KafkaException(one.error)
        return {(one.topic, one.partition): one.offset for one in found if one.offset >= 0}

    def close(self) -> None:
        """Disconnect; the next call connects again."""
        consumer, self._consumer = self._consumer, None
        if consumer is not None:
            consumer.close()
