"""Three embedded nodes lose one after another, and no acknowledged record is lost."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from confluent_kafka.admin import (  # type: ignore[attr-defined] # exported without saying so
    ConfigResource,
    ResourceType,
)

from streamproc.clients.topic_admin import ensure_topics
from streamproc.contract.topics import CHUNKS, POLICIES
from streamproc.errors import TopicPolicyError
from tests.kafka.cluster import N_PARTITIONS, Cluster, SteadyProducer, read_all


@pytest.fixture(scope="module")
def cluster(engines: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    with Cluster(tmp_path_factory.mktemp("cluster"), 3) as cluster:
        yield cluster


def test_every_topic_has_three_replicas_of_which_two_must_ack(cluster: Cluster) -> None:
    admin = cluster.admin
    topics = admin.list_topics(timeout=10).topics
    for policy in POLICIES:
        partitions = topics[policy.name].partitions.values()
        assert all(len(partition.replicas) == 3 for partition in partitions)
        resource = ConfigResource(ResourceType.TOPIC, policy.name)
        found = admin.describe_configs([resource])[resource].result()
        assert found["min.insync.replicas"].value == "2"


def test_a_topic_that_is_made_otherwise_is_refused(cluster: Cluster) -> None:
    with pytest.raises(TopicPolicyError, match="partitions"):
        ensure_topics(cluster.admin, n_partitions=N_PARTITIONS + 1, replication=3)


def test_every_acked_record_survives_the_kill_of_each_broker_once_and_in_order(
    cluster: Cluster,
) -> None:
    """The partition's leader, then the controller, then the third: killed with -9, restarted."""
    producer = SteadyProducer(cluster.environ, 0)
    producer.wait_acked(100)
    killed: set[int] = set()
    choices: tuple[Callable[[], int], ...] = (lambda: cluster.leader(0), cluster.controller)
    for choose in choices:
        node_id = choose()
        cluster.kill(node_id)
        killed.add(node_id)
        producer.wait_acked(100)  # two of three are enough to go on
        cluster.restart(node_id)
    for node_id in set(cluster.nodes) - killed:
        cluster.kill(node_id)
        producer.wait_acked(100)
        cluster.restart(node_id)
    acked = producer.finish()
    stored = read_all(cluster.environ, 0)
    assert stored == sorted(set(stored))
    assert set(acked) <= set(stored)
    assert acked == list(range(len(acked)))


def test_with_one_broker_left_nothing_is_acknowledged(cluster: Cluster) -> None:
    producer = SteadyProducer(cluster.environ, 1)
    producer.wait_acked(50)
    first, second = sorted(set(cluster.nodes) - {cluster.leader(1)})
    cluster.kill(first)
    cluster.kill(second)
    assert producer.is_stuck(for_s=3.0)
    cluster.start(first)
    cluster.restart(second)
    producer.wait_acked(50)
    acked = producer.finish()
    stored = read_all(cluster.environ, 1)
    assert stored == sorted(set(stored))
    assert set(acked) <= set(stored)


def test_the_single_node_is_killed_and_goes_on_with_every_acked_record(
    engines: None, tmp_path: Path
) -> None:
    with Cluster(tmp_path, 1) as single:
        producer = SteadyProducer(single.environ, 0)
        for _ in range(2):
            producer.wait_acked(100)
            single.kill(1)
            single.restart(1)
            producer.wait_acked(50)
        acked = producer.finish()
        stored = read_all(single.environ, 0)
        assert stored == sorted(set(stored))
        assert set(acked) <= set(stored)
        admin = single.admin
        assert len(admin.list_topics(CHUNKS, timeout=10).topics[CHUNKS].partitions) == N_PARTITIONS
