"""What asks Kafka is as good as new after its broker was killed: the lag, a worker's reader."""

import asyncio
import time
from collections.abc import Iterator

import pytest
from confluent_kafka import KafkaException

from api.kafka.consumer_lag import Lag
from api.settings import Settings
from streamproc.clients.consumer_lag import GROUPS
from streamproc.clients.group_offsets import GroupOffsets
from streamproc.contract.topics import ARCHIVE_GROUP, CHUNKS
from streamproc.errors import LogUnavailableError
from streamproc.worker.task_log import LogReader
from tests.brokers import N_PARTITIONS, KafkaNode
from tests.ports import wait_for_port

_AGAIN_S = 30.0


@pytest.fixture(scope="module")
def node(engines: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[KafkaNode]:
    """A broker that every test kills and starts again; nothing is written to it."""
    broker = KafkaNode(tmp_path_factory.mktemp("kafka"))
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


def end_of(reader: LogReader) -> int:
    """Return the log's end once the broker leads the partition."""
    deadline_s = time.monotonic() + 60
    while True:
        try:
            return reader.end(0, timeout_s=5)
        except LogUnavailableError:
            assert time.monotonic() < deadline_s
            time.sleep(0.1)


def test_a_reader_that_failed_reads_with_another_consumer(node: KafkaNode) -> None:
    reader = LogReader(node.settings)
    assert end_of(reader) == 0
    before = reader._consumer
    node.kill()
    with pytest.raises(LogUnavailableError):
        reader.end(0, timeout_s=0.5)
    node.launch()
    wait_for_port(node.node.port)
    assert end_of(reader) == 0
    assert reader._consumer is not before
    reader.close()
