"""How far the roles are behind: messages of a topic that their group has not committed yet."""

import asyncio
import time
from collections.abc import Sequence

from confluent_kafka import (
    ConsumerGroupTopicPartitions,
    IsolationLevel,
    KafkaException,
    TopicPartition,
)
from confluent_kafka.admin import AdminClient, OffsetSpec  # type: ignore[attr-defined] # no __all__

from api.contract.resources import LagResource
from api.publish import kafka_config
from api.settings import Settings
from streamproc.contract import topics

GROUPS = (
    (topics.WORKER_GROUP, topics.TASKS),
    (topics.ARCHIVE_GROUP, topics.CHUNKS),
    (topics.INDEX_GROUP, topics.CHUNKS),
)
ASK_S = 3.0
FRESH_S = 1.0


class Lag:
    """Asks Kafka, at most once a second however many ask."""

    def __init__(self, settings: Settings) -> None:
        self._config = kafka_config(settings)
        self._admin: AdminClient | None = None
        self._lock = asyncio.Lock()
        self._asked_s = float("-inf")
        self._known: Sequence[LagResource] = ()

    async def get(self, n_partitions: int) -> Sequence[LagResource]:
        """Return every group's lag by partition; nothing while Kafka does not say."""
        async with self._lock:
            if time.monotonic() - self._asked_s > FRESH_S:
                self._known = await asyncio.to_thread(self._ask, n_partitions)
                self._asked_s = time.monotonic()
            return self._known

    def _ask(self, n_partitions: int) -> Sequence[LagResource]:
        if self._admin is None:
            self._admin = AdminClient(self._config)
        try:
            ends = self._ends(self._admin, n_partitions)
            return [
                LagResource(group, topic, partition, _behind(ends[topic, partition], committed))
                for group, topic in GROUPS
                for partition, committed in self._committed(self._admin, group, topic, n_partitions)
            ]
        except KafkaException:
            return ()

    @staticmethod
    def _ends(admin: AdminClient, n_partitions: int) -> dict[tuple[str, int], int]:
        asked = {
            TopicPartition(topic, partition): OffsetSpec.latest()  # type: ignore[no-untyped-call]
            for topic in (topics.TASKS, topics.CHUNKS)
            for partition in range(n_partitions)
        }
        futures = admin.list_offsets(
            asked, isolation_level=IsolationLevel.READ_UNCOMMITTED, request_timeout=ASK_S
        )
        return {
            (place.topic, place.partition): future.result(ASK_S).offset
            for place, future in futures.items()
        }

    @staticmethod
    def _committed(
        admin: AdminClient, group: str, topic: str, n_partitions: int
    ) -> list[tuple[int, int]]:
        asked = ConsumerGroupTopicPartitions(
            group, [TopicPartition(topic, partition) for partition in range(n_partitions)]
        )
        (future,) = admin.list_consumer_group_offsets([asked], request_timeout=ASK_S).values()
        found = future.result(ASK_S).topic_partitions
        return sorted((place.partition, place.offset) for place in found)


def _behind(end: int, committed: int) -> int | None:
    return None if committed < 0 else max(0, end - committed)
