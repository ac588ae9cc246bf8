"""Logs on a real Kafka, and waiting for what becomes of them."""

import secrets
import time
from collections.abc import Callable

import msgspec
from confluent_kafka import KafkaError, Message, Producer

from streamproc.clients.kafka import client_config, producer_config
from streamproc.contract.records import ChunkRecord
from streamproc.contract.topics import CHUNKS
from tests.brokers import KafkaNode


def new_group() -> str:
    return "t-" + secrets.token_hex(4)


def wait_until(condition: Callable[[], bool], timeout_s: float = 30.0) -> None:
    deadline_s = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline_s, "not in time"
        time.sleep(0.02)


def new_task() -> str:
    return "vt_01KAN7W0" + secrets.token_hex(9).upper()


class Writer:
    """Writes a task's records to a real topic, as a worker does."""

    def __init__(self, kafka: KafkaNode) -> None:
        self._producer = Producer(producer_config(client_config(kafka.settings)))
        self._epoch = -1
        self.offsets: list[tuple[int, int]] = []

    def write(self, *records: ChunkRecord) -> None:
        for record in records:
            written = msgspec.structs.replace(record, epoch=self._epoch)
            self._producer.produce(
                CHUNKS,
                key=record.task.encode(),
                value=record.value,
                headers=[*written.headers()],
                on_delivery=self._acked,
            )
            self._producer.flush(10)
            if record.kind == "claim":
                self._epoch = self.offsets[-1][1]

    def _acked(self, error: KafkaError | None, message: Message) -> None:
        assert error is None
        partition, offset = message.partition(), message.offset()
        assert partition is not None
        assert offset is not None
        self.offsets.append((partition, offset))
