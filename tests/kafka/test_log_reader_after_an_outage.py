"""A worker's reader of the log is as good as new after Kafka was away."""

import time
from pathlib import Path

import pytest

from streamproc.errors import LogUnavailableError
from streamproc.worker.task_log import LogReader
from tests.brokers import KafkaNode
from tests.ports import wait_for_port

pytestmark = pytest.mark.usefixtures("engines")


def end_of(reader: LogReader) -> int:
    """Return the log's end once the broker leads the partition."""
    deadline_s = time.monotonic() + 60
    while True:
        try:
            return reader.end(0, timeout_s=5)
        except LogUnavailableError:
            assert time.monotonic() < deadline_s
            time.sleep(0.1)


def test_a_reader_that_failed_reads_with_another_consumer(tmp_path: Path) -> None:
    (tmp_path / "kafka").mkdir()
    node = KafkaNode(tmp_path / "kafka")
    node.start()
    try:
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
    finally:
        node.stop()
