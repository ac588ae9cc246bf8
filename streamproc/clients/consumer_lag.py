"""Consumer lag of the roles: messages of a topic that their group has not committed yet."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from confluent_kafka import IsolationLevel, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient, OffsetSpec  # type: ignore[attr-defined] # no __all__

from streamproc.clients.group_offsets import GroupOffsets, Place
from streamproc.contract import topics

GROUPS = (
    (topics.WORKER_GROUP, topics.TASKS),
    (topics.WORKER_GROUP, topics.LIVE),
    (topics.ARCHIVE_GROUP, topics.CHUNKS),
    (topics.INDEX_GROUP, topics.CHUNKS),
    (topics.AUDIT_GROUP, topics.AUDIT),
)
ASK_S = 3.0


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


class LagReader:
    """Asks Kafka for the lag of all `GROUPS`. One thread at a time."""

    def __init__(self, config: Mapping[str, Any]) -> None:
        """`config`: properties common to all clients."""
        self._config = dict(config)
        self._admin: AdminClient | None = None
        self._groups = {group: GroupOffsets(self._config, group) for group, _ in GROUPS}

    def read(self, n_partitions: int | None = None) -> Sequence[ConsumerLag]:
        """Return the lag of every group in every partition; nothing if Kafka does not answer.

        `n_partitions`: of the topics of tasks and chunks; Kafka is asked for it unless given.
        """
        if self._admin is None:
            self._admin = AdminClient(self._config)
        try:
            if n_partitions is None:
                known = self._admin.list_topics(timeout=ASK_S).topics
                if topics.TASKS not in known:
                    return ()
                n_partitions = len(known[topics.TASKS].partitions)
            firsts = self._offsets(self._admin, n_partitions, OffsetSpec.earliest())  # type: ignore[no-untyped-call]
            ends = self._offsets(self._admin, n_partitions, OffsetSpec.latest())  # type: ignore[no-untyped-call]
            return [
                ConsumerLag(group, *place, firsts[place], ends[place], committed.get(place))
                for group, topic in GROUPS
                for places in [_places(topic, n_partitions)]
                for committed in [self._groups[group].committed(places, ASK_S)]
                for place in places
            ]
        except (KafkaException, TimeoutError):
            # Recreate the client: after a broker restart it keeps sending the old leader epochs
            # and is refused for minutes.
            self._admin = None
            return ()

    def close(self) -> None:
        """Disconnect."""
        self._admin = None
        for offsets in self._groups.values():
            offsets.close()

    @staticmethod
    def _offsets(admin: AdminClient, n_partitions: int, which: OffsetSpec) -> dict[Place, int]:
        asked = {
            TopicPartition(*place): which
            for topic in (*topics.TASK_TOPICS, topics.CHUNKS, topics.AUDIT)
            for place in _places(topic, n_partitions)
        }
        futures = admin.list_offsets(
            asked, isolation_level=IsolationLevel.READ_UNCOMMITTED, request_timeout=ASK_S
        )
        return {
            (place.topic, place.partition): future.result(ASK_S).offset
            for place, future in futures.items()
        }


def _places(topic: str, n_partitions: int) -> list[Place]:
    """Return the topic's partitions; the audit topic has one, the others `n_partitions`."""
    n_places = 1 if topic == topics.AUDIT else n_partitions
    return [(topic, partition) for partition in range(n_places)]
