"""Consumer lag of the roles: messages of a topic that their group has not committed yet."""

import asyncio
import time
from collections.abc import Sequence
from typing import NamedTuple

from confluent_kafka import IsolationLevel, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient, OffsetSpec  # type: ignore[attr-defined] # no __all__

from api.contract.resources import LagResource
from api.kafka.producer import kafka_config
from api.settings import Settings
from streamproc.clients.group_offsets import GroupOffsets, Place
from streamproc.contract import topics
from streamproc.contract.watchdog import Watchdog

GROUPS = (
    (topics.WORKER_GROUP, topics.TASKS),
    (topics.ARCHIVE_GROUP, topics.CHUNKS),
    (topics.INDEX_GROUP, topics.CHUNKS),
    (topics.AUDIT_GROUP, topics.AUDIT),
)
ASK_S = 3.0
FRESH_S = 1.0


class ConsumerLag(NamedTuple):
    """A group's committed offset in a partition that holds messages `[first, end)`."""

    group: str
    topic: str
    partition: int
    first: int
    end: int
    committed: int | None

    @property
    def messages(self) -> int:
        """How many messages the group has not committed: all of them if it never committed."""
        return max(0, self.end - max(self.first, self.committed or 0))

    def resource(self) -> LagResource:
        lag = None if self.committed is None else self.messages
        return LagResource(self.group, self.topic, self.partition, lag)


class Lag:
    """Queries consumer lag, at most once a second for all callers together."""

    def __init__(self, settings: Settings) -> None:
        self._config = kafka_config(settings)
        self._admin: AdminClient | None = None
        self._groups = {group: GroupOffsets(self._config, group) for group, _ in GROUPS}
        self._lock = asyncio.Lock()
        self._asked_s = float("-inf")
        self._known: Sequence[ConsumerLag] = ()
        self._dog: Watchdog[tuple[str, int]] = Watchdog(
            settings.watchdog_s, max_unseen_s=float("inf")
        )
        self.stalled: Sequence[tuple[str, int]] = ()
        """Groups and partitions with lag whose commit has not moved for the watchdog's limit.

        This alone does not mean a fault: a commit waits for the work in progress.
        """

    async def get(self, n_partitions: int) -> Sequence[ConsumerLag]:
        """Return the lag of every group in every partition; nothing if Kafka does not answer."""
        async with self._lock:
            if time.monotonic() - self._asked_s > FRESH_S:
                self._known = await asyncio.to_thread(self._ask, n_partitions)
                self._asked_s = time.monotonic()
                self._look(self._asked_s)
            return self._known

    def _look(self, now_s: float) -> None:
        positions = {(at.group, at.partition): at.end - at.messages for at in self._known}
        ends = {(at.group, at.partition): at.end for at in self._known}
        waiting_for = None if self._known else "kafka"
        self.stalled = self._dog.look(now_s, positions, ends, waiting_for=waiting_for)

    def _ask(self, n_partitions: int) -> Sequence[ConsumerLag]:
        if self._admin is None:
            self._admin = AdminClient(self._config)
        try:
            firsts = self._offsets(self._admin, n_partitions, OffsetSpec.earliest())  # type: ignore[no-untyped-call]
            ends = self._offsets(self._admin, n_partitions, OffsetSpec.latest())  # type: ignore[no-untyped-call]
            return [
                ConsumerLag(group, *place, firsts[place], ends[place], committed.get(place))
                for group, topic in GROUPS
                for committed in [self._committed(group, topic, n_partitions)]
                for place in _places(topic, n_partitions)
            ]
        except (KafkaException, TimeoutError):
            # Recreate the client: after a broker restart it keeps sending the old leader epochs
            # and is refused for minutes.
            self._admin = None
            return ()

    @staticmethod
    def _offsets(admin: AdminClient, n_partitions: int, which: OffsetSpec) -> dict[Place, int]:
        asked = {
            TopicPartition(*place): which
            for topic in (topics.TASKS, topics.CHUNKS, topics.AUDIT)
            for place in _places(topic, n_partitions)
        }
        futures = admin.list_offsets(
            asked, isolation_level=IsolationLevel.READ_UNCOMMITTED, request_timeout=ASK_S
        )
        return {
            (place.topic, place.partition): future.result(ASK_S).offset
            for place, future in futures.items()
        }

    def _committed(self, group: str, topic: str, n_partitions: int) -> dict[Place, int]:
        return self._groups[group].committed(_places(topic, n_partitions), ASK_S)


def _places(topic: str, n_partitions: int) -> list[Place]:
    """Return the topic's partitions; the audit topic has one, the other two `n_partitions`."""
    n_places = 1 if topic == topics.AUDIT else n_partitions
    return [(topic, partition) for partition in range(n_places)]
