"""The broker of these tests has a fault proxy before it."""

from collections.abc import Iterator

import pytest

from tests.chaos.kafka import ProxiedKafka


@pytest.fixture(scope="module")
def kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ProxiedKafka]:
    """Apache Kafka with Framewire's topics, the module's own.

    Another fleet's tasks and consumer groups would be this one's to finish.
    """
    node = ProxiedKafka(tmp_path_factory.mktemp("kafka"))
    node.start()
    yield node
    node.stop()
