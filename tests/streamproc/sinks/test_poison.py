"""Bad records and fetchers that stop, on a real Apache Kafka: the roles read on."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import msgspec
import structlog
from confluent_kafka import Consumer, Producer, TopicPartition

from streamproc.clients.clickhouse import ClientFactory
from streamproc.clients.kafka import client_config, consumer_config, producer_config
from streamproc.consumer_watchdog import ConsumerWatch
from streamproc.contract.chunk import StreamInfo
from streamproc.contract.records import ChunkRecord, ConsumerBeat
from streamproc.contract.tables import TASKS
from streamproc.contract.topics import CHUNKS
from streamproc.sinks.archive.consumer import ArchiveRole
from streamproc.sinks.consumer_restarts import run_with_restarts
from streamproc.sinks.index.consumer import IndexRole
from streamproc.sinks.index.tables import IndexTables
from streamproc.sinks.skipped_records import LeftOut
from tests.brokers import KafkaNode
from tests.streamproc.sinks.index.test_consumer import status, submit

from .kafka_logs import Writer, new_group, new_task, wait_until
from .logs import LogBuilder, MemoryObjects, submitted, target


class Letters:
    def __init__(self) -> None:
        self.found: list[LeftOut] = []

    def put(self, left_out: LeftOut) -> None:
        self.found.append(left_out)


class Liar(LogBuilder):
    """Writes chunks as an earlier version did: with numbers that no column holds."""

    def _chunk(self, targets: Any, *, first: bool) -> Any:
        info = StreamInfo(10**20, -10, -1, 10**20, -5.0, -1)
        chunk = super()._chunk(targets, first=first)
        return msgspec.structs.replace(chunk, stream_info=info)


def write_junk(kafka: KafkaNode, *tasks: str) -> None:
    """Write what is no record of ours: no headers, headers of noise, a frame beyond all numbers."""
    producer = Producer(producer_config(client_config(kafka.settings)))
    for task in tasks:
        good = ChunkRecord(task, "p", "chunk", 0, 0, 0, 0, 0, b"x").headers()
        for headers in ([], [(name, b"\xff" * 9) for name, _ in good], [*good[1:]]):
            producer.produce(CHUNKS, key=task.encode(), value=b"junk", headers=[*headers])
    producer.produce(CHUNKS, key=b"\xff\xfe", value=b"", headers=[])
    assert producer.flush(10) == 0


@contextmanager
def indexing(kafka: KafkaNode, connect: ClientFactory, letters: Letters) -> Iterator[None]:
    config = {
        **consumer_config(client_config(kafka.settings), new_group()),
        "partition.assignment.strategy": "range",
    }
    opened = IndexTables(connect)
    stop = threading.Event()
    role = IndexRole(Consumer(config), opened, letters)
    thread = threading.Thread(target=role.run, args=(stop,))
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join(30)
        opened.close()
        assert not thread.is_alive()


def test_the_index_passes_over_what_it_cannot_read_and_takes_what_no_column_holds(
    kafka: KafkaNode, connect: ClientFactory, tables: IndexTables
) -> None:
    liar, good, letters = Liar(new_task()), LogBuilder(new_task()), Letters()
    for log in (liar, good):
        submit(kafka, submitted(log.task))
    write_junk(kafka, good.task, "no id of ours")
    Writer(kafka).write(liar.claim(), liar.chunk(target(-5)), liar.terminal())
    Writer(kafka).write(good.claim(), good.chunk(target()), good.terminal())
    with indexing(kafka, connect, letters):
        wait_until(lambda: status(tables, good.task) == "succeeded", 60)
        wait_until(lambda: status(tables, liar.task) == "succeeded", 60)
    (row,) = tables.select(TASKS, [liar.task])
    assert (row.total_frames, row.fps) == (None, 0.0)
    told = {(found.code, found.task, found.topic) for found in letters.found}
    assert ("bad_record", good.task, CHUNKS) in told
    assert all(found.position >= 0 for found in letters.found if found.task == good.task)


class Stoppable(ArchiveRole):
    """Fetches nothing more once `stop_fetching` is set, and does not know."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.stop_fetching, self.has_stopped = threading.Event(), threading.Event()

    def _turn(self, messages: Any) -> None:
        super()._turn(messages)
        if self.stop_fetching.is_set():  # here: a call of another thread would wait for `consume`
            self._consumer.pause([TopicPartition(*place) for place in self.positions()])
            self.has_stopped.set()


def test_an_archive_whose_fetcher_stops_reads_on_with_another_one(kafka: KafkaNode) -> None:
    store, letters, told = MemoryObjects(), Letters(), list[ConsumerBeat]()
    roles: list[ArchiveRole] = []
    group, stop = new_group(), threading.Event()
    config, ends = (
        client_config(kafka.settings),
        list[int](),
    )  # on a busy machine 2 s are short
    watch = ConsumerWatch(config, "archive", group, 2.0, told.append, end_process=ends.append)

    def life() -> ArchiveRole:
        kind = ArchiveRole if roles else Stoppable
        roles.append(
            kind(
                consumer_config(client_config(kafka.settings), group),
                store,
                letters,
            )
        )
        return roles[-1]

    thread = threading.Thread(
        target=run_with_restarts, args=(life, stop, watch, structlog.get_logger("test"))
    )
    thread.start()
    try:
        before, after, writer = LogBuilder(new_task()), LogBuilder(new_task()), Writer(kafka)
        writer.write(before.claim(), before.chunk(target()), before.terminal())
        wait_until(lambda: f"{before.project}/{before.task}/final.json" in store.stored, 60)
        stoppable = roles[0]
        assert isinstance(stoppable, Stoppable)
        stoppable.stop_fetching.set()
        wait_until(stoppable.has_stopped.is_set)
        writer.write(after.claim(), after.chunk(target()), after.terminal())
        wait_until(lambda: f"{after.project}/{after.task}/final.json" in store.stored, 60)
        wait_until(lambda: told[-1].n_renewals >= 1, 30)  # it is told with the next heartbeat
        assert told[-1].cpu_percent is not None
        assert told[-1].rss_bytes > 10_000_000
    finally:
        stop.set()
        thread.join(30)
    assert not thread.is_alive()
    assert len(roles) >= 2
    assert any(beat.standing for beat in told)
