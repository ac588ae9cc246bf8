"""Topics on a real Apache Kafka: made once, refused when they are not as they must be."""

from concurrent.futures import ThreadPoolExecutor
from functools import partial

import pytest
from confluent_kafka.admin import (  # type: ignore[attr-defined] # exported without saying so
    AdminClient,
    ConfigResource,
    ResourceType,
)

from streamproc.clients.topic_admin import _configs, count_partitions, ensure_topics
from streamproc.contract.audit import DEFAULT_DAYS
from streamproc.contract.topics import AUDIT, CHUNKS, DAY_MS
from streamproc.errors import TopicPolicyError
from tests.brokers import N_PARTITIONS, KafkaNode
from tests.streamproc.sinks.kafka_logs import wait_until


@pytest.fixture
def admin(kafka: KafkaNode) -> AdminClient:
    return AdminClient({"bootstrap.servers": kafka.bootstrap})


def test_topics_that_are_right_are_left_alone(admin: AdminClient) -> None:
    ensure_topics(admin, n_partitions=N_PARTITIONS, replication=1)
    assert count_partitions(admin) == N_PARTITIONS


def test_another_partition_count_is_refused(admin: AdminClient) -> None:
    with pytest.raises(TopicPolicyError, match=r"has 4 partitions, not 5: the count is frozen"):
        ensure_topics(admin, n_partitions=5, replication=1)


def test_of_two_that_make_the_topics_at_once_one_hears_that_they_differ(
    kafka: KafkaNode, admin: AdminClient
) -> None:
    def refused(n_partitions: int) -> bool:
        own = AdminClient({"bootstrap.servers": kafka.bootstrap})
        try:
            ensure_topics(own, n_partitions=n_partitions, replication=1)
        except TopicPolicyError:
            return True
        return False

    for _ in range(3):
        kafka.delete_topics(admin)
        with ThreadPoolExecutor(2) as both:
            assert any(both.map(refused, (4, 5)))
    kafka.renew()


def test_a_topic_that_its_broker_does_not_know_yet_is_asked_for_again(
    kafka: KafkaNode, admin: AdminClient
) -> None:
    """As in a cluster, where one broker lists a topic before another has heard of it."""
    kafka.delete_topics(admin)
    with ThreadPoolExecutor(1) as one:
        asked = one.submit(_configs, admin, [AUDIT, CHUNKS])
        other = AdminClient({"bootstrap.servers": kafka.bootstrap})
        ensure_topics(other, n_partitions=N_PARTITIONS, replication=1)
        found = asked.result(30)
    assert found[CHUNKS]["cleanup.policy"] == "delete"
    assert int(found[AUDIT]["retention.ms"]) == DEFAULT_DAYS * DAY_MS


def test_the_audit_trail_is_kept_as_long_as_was_said_last(admin: AdminClient) -> None:
    topic = ConfigResource(ResourceType.TOPIC, AUDIT)

    def kept_days() -> float:
        (asked,) = admin.describe_configs([topic]).values()
        return int(asked.result()["retention.ms"].value) / DAY_MS

    def keeps(days: int) -> bool:
        return kept_days() == days

    assert kept_days() == DEFAULT_DAYS
    for days in (7, 7, DEFAULT_DAYS):
        ensure_topics(admin, n_partitions=N_PARTITIONS, replication=1, audit_days=days)
        wait_until(partial(keeps, days))  # a broker acknowledges before it applies
