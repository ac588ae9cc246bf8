"""A stand-in for a worker: it writes a task's records to the real video.chunks."""

from typing import Any

from confluent_kafka import Producer

from streamproc.contract import topics
from streamproc.contract.chunk import FinishReason, Target
from streamproc.contract.records import Attempt, ChunkRecord
from tests.streamproc.sinks.logs import LogBuilder


class StandInWorker:
    """Appends what a worker would; every append is acknowledged when it returns."""

    def __init__(self, producer: Producer) -> None:
        self._producer = producer
        self.logs: dict[str, LogBuilder] = {}
        self._epochs: dict[str, int] = {}

    def claim(self, project: str, task: str, *attempts: Attempt) -> int:
        """Return the claim's Kafka offset."""
        log = self.logs.setdefault(task, LogBuilder(task, project))
        self._epochs[task] = self._append(log.claim(attempts=attempts))
        return self._epochs[task]

    def chunk(self, task: str, *targets: Target, **options: Any) -> None:
        self._append(self.logs[task].chunk(*targets, **options))

    def notice(self, task: str) -> None:
        self._append(self.logs[task].notice())

    def end(
        self, task: str, reason: FinishReason = "stop", error: tuple[str, str] | None = None
    ) -> bytes:
        """Write the terminal and return the whole log."""
        self._append(self.logs[task].terminal(reason, error=error))
        return self.logs[task].log

    def _append(self, record: ChunkRecord) -> int:
        offsets: list[int | None] = []
        headers: list[tuple[str, str | bytes | None]] = [
            (name, b"%d" % self._epochs.get(record.task, 0) if name == "epoch" else value)
            for name, value in record.headers()
        ]
        self._producer.produce(
            topics.CHUNKS,
            key=record.task,
            value=record.value,
            headers=headers,
            partition=topics.partition_of(record.task.encode(), self._n_partitions()),
            on_delivery=lambda error, message: offsets.append(message.offset()),
        )
        self._producer.flush(10)
        assert offsets, "no ack"
        assert offsets[0] is not None
        return offsets[0]

    def _n_partitions(self) -> int:
        return len(
            self._producer.list_topics(topics.CHUNKS, timeout=10).topics[topics.CHUNKS].partitions
        )
