"""The broker of these tests has a fault proxy before it."""

from collections.abc import Iterator

import pytest

from tests.chaos.kafka import ProxiedKafka


@pytest.fixture(scope="session")
def kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ProxiedKafka]:
    """Apache Kafka with Framewire's topics, shared by the session: use task ids of your own."""
    node = ProxiedKafka(tmp_path_factory.mktemp("kafka"))
    node.start()
    yield node
    node.stop()
