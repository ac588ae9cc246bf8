"""How far the roles are behind is known again as soon as a killed broker is back."""

import asyncio
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from confluent_kafka import KafkaException

from api.kafka.consumer_lag import Lag
from api.settings import Settings
from streamproc.clients.consumer_lag import GROUPS
from streamproc.clients.group_offsets import GroupOffsets
from streamproc.contract.topics import ARCHIVE_GROUP, CHUNKS
from tests.brokers import N_PARTITIONS, KafkaNode
from tests.ports import wait_for_port

pytestmark = pytest.mark.usefixtures("engines")
_AGAIN_S = 30.0


@pytest.fixture
def node(tmp_path: Path) -> Iterator[KafkaNode]:
    (tmp_path / "kafka").mkdir()
    broker = KafkaNode(tmp_path / "kafka")
    broker.start()
    yield broker
    broker.stop()


def test_a_group_is_asked_about_all_the_while_a_killed_broker_comes_back(node: KafkaNode) -> None:
    """librdkafka's admin client ends the process at the first `NOT_COORDINATOR`."""
    offsets = GroupOffsets({"bootstrap.servers": node.bootstrap}, ARCHIVE_GROUP)
    places = [(CHUNKS, partition) for partition in range(N_PARTITIONS)]
    for _ in range(2):
        node.kill()
        node.launch()
        deadline_s, n_answers = time.monotonic() + _AGAIN_S, 0
        while n_answers < 20:
            assert time.monotonic() < deadline_s, "the group's offsets are not known"
            try:
                assert offsets.committed(places, 1.0) == {}
            except KafkaException:
                time.sleep(0.01)
            else:
                n_answers += 1
    offsets.close()


def test_the_lag_is_known_again_after_the_broker_was_killed(node: KafkaNode) -> None:
    lag = Lag(Settings(kafka=node.bootstrap, clickhouse="chdb:///none"))

    def known() -> int:
        return len(asyncio.run(lag.get(N_PARTITIONS)))

    def wait_until_known() -> None:
        deadline_s = time.monotonic() + _AGAIN_S
        while known() != (len(GROUPS) - 1) * N_PARTITIONS + 1:
            assert time.monotonic() < deadline_s, "the lag is not known"
            time.sleep(0.2)

    wait_until_known()
    node.kill()
    node.launch()
    wait_for_port(node.node.port)
    time.sleep(1.1)  # what was known before is taken for a second
    wait_until_known()
