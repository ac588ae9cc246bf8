"""Reading a task's log back: what the worker asks of Kafka, and in which order."""

from typing import Any, ClassVar

import pytest
from confluent_kafka import KafkaError, KafkaException, TopicPartition

from streamproc.clients.kafka import KafkaSettings
from streamproc.errors import LogUnavailableError
from streamproc.worker import task_log
from streamproc.worker.task_log import LogReader


class Recorder:
    """A consumer of a partition whose records are not this task's; it notes what it is asked."""

    made: ClassVar[list["Recorder"]] = []

    def __init__(self, config: dict[str, Any]) -> None:
        self.calls: list[str] = []
        self.fails = False
        Recorder.made.append(self)

    def get_watermark_offsets(self, place: TopicPartition, timeout: float) -> tuple[int, int]:
        self.calls.append("ends")
        if self.fails:
            raise KafkaException(KafkaError(KafkaError._ALL_BROKERS_DOWN))
        return 0, 9

    def assign(self, places: list[TopicPartition]) -> None:
        self.calls.append("assign")

    def poll(self, timeout: float) -> None:
        return None

    def position(self, places: list[TopicPartition]) -> list[TopicPartition]:
        return [TopicPartition(p.topic, p.partition, 9) for p in places]

    def unassign(self) -> None:
        self.calls.append("unassign")

    def close(self) -> None:
        self.calls.append("close")


@pytest.fixture
def reader(monkeypatch: pytest.MonkeyPatch) -> LogReader:
    Recorder.made = []
    monkeypatch.setattr(task_log, "Consumer", Recorder)
    return LogReader(KafkaSettings("127.0.0.1:1"))


def test_a_consumer_knows_the_leaders_before_its_first_read(reader: LogReader) -> None:
    """Else librdkafka finds them when its timer runs, once a second: a camera's frames wait."""
    assert list(reader.read(0, 3, 9, "vt_1")) == []
    assert list(reader.read(0, 3, 9, "vt_1")) == []
    (consumer,) = Recorder.made
    assert consumer.calls == ["ends", "assign", "unassign", "assign", "unassign"]


def test_a_new_consumer_after_a_failure_does_not_know_them(reader: LogReader) -> None:
    assert reader.end(0) == 9
    Recorder.made[0].fails = True
    with pytest.raises(LogUnavailableError):
        reader.end(0)
    assert list(reader.read(0, 3, 9, "vt_1")) == []
    assert Recorder.made[0].calls == ["ends", "ends", "close"]
    assert Recorder.made[1].calls == ["ends", "assign", "unassign"]
