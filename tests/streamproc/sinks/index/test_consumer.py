"""The index role on a real Apache Kafka and a real chDB."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

from clickhouse_connect.driver.exceptions import OperationalError
from confluent_kafka import Consumer, Producer

from streamproc.clients.clickhouse import ClientFactory
from streamproc.clients.kafka import client_config, consumer_config, producer_config
from streamproc.contract.records import Submitted, TrackVector, encode_task_message
from streamproc.contract.tables import DETECTIONS, EMBEDDINGS, TABLES, TASKS, TRACKS
from streamproc.contract.task_spec import LiveOptions
from streamproc.sinks.index.consumer import IndexRole
from streamproc.sinks.index.tables import IndexTables
from tests.brokers import KafkaNode
from tests.streamproc.sinks.kafka_logs import Writer, new_group, new_task, wait_until
from tests.streamproc.sinks.logs import LogBuilder, submitted, target, unit


def submit(kafka: KafkaNode, message: Submitted) -> None:
    producer = Producer(producer_config(client_config(kafka.settings)))
    producer.produce(message.topic, key=message.task.encode(), value=encode_task_message(message))
    assert producer.flush(10) == 0


@contextmanager
def running(kafka: KafkaNode, connect: ClientFactory, group: str) -> Iterator[None]:
    config = {
        **consumer_config(client_config(kafka.settings), group),
        "partition.assignment.strategy": "range",
    }
    opened = IndexTables(connect)
    role = IndexRole(Consumer(config), opened)
    stop = threading.Event()
    thread = threading.Thread(target=role.run, args=(stop,))
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join(30)
        opened.close()
        assert not thread.is_alive()


def task_row(tables: IndexTables, task: str) -> Any:
    return next(iter(tables.select(TASKS, [task])), None)


def status(tables: IndexTables, task: str) -> str | None:
    row = task_row(tables, task)
    return None if row is None else row.status


def has_succeeded(tables: IndexTables, task: str) -> bool:
    return status(tables, task) == "succeeded"


def test_a_task_is_indexed_from_submission_to_end(
    kafka: KafkaNode, connect: ClientFactory, tables: IndexTables
) -> None:
    log, writer, group = LogBuilder(new_task()), Writer(kafka), new_group()
    with running(kafka, connect, group):
        submit(kafka, submitted(log.task))
        wait_until(lambda: status(tables, log.task) == "pending")
        writer.write(log.claim())
        wait_until(lambda: status(tables, log.task) == "running")
        writer.write(log.chunk(target(), vectors=[TrackVector(1, 0.5, unit(1))]))
        wait_until(lambda: task_row(tables, log.task).log_length == log.end)
    with running(kafka, connect, group):
        writer.write(log.chunk(target(), target(2)), log.terminal())
        wait_until(lambda: status(tables, log.task) == "succeeded")
    assert [row.frames_seen for row in tables.select(TRACKS, [log.task])] == [2, 1]
    assert len(tables.select(DETECTIONS, [log.task])) == 3
    assert len(tables.select(EMBEDDINGS, [log.task])) == 1


def test_the_tables_exist_before_the_first_task(kafka: KafkaNode, connect: ClientFactory) -> None:
    client = connect()
    with running(kafka, connect, new_group()):
        wait_until(lambda: {row[0] for row in client.query("SHOW TABLES").result_rows} >= {*TABLES})
    client.close()


def test_chunks_wait_for_their_submission(
    kafka: KafkaNode, connect: ClientFactory, tables: IndexTables
) -> None:
    file, camera, writer = LogBuilder(new_task()), LogBuilder(new_task()), Writer(kafka)
    messages = [submitted(file.task), submitted(camera.task, live=LiveOptions(), max_frames=None)]
    for log, message in zip((file, camera), messages, strict=True):
        submit(kafka, message)
        writer.write(log.claim(), log.chunk(target()), log.terminal())
    with running(kafka, connect, new_group()):  # reads everything: all topics, in any order
        for log, message in zip((file, camera), messages, strict=True):
            wait_until(partial(has_succeeded, tables, log.task))
            (track,) = tables.select(TRACKS, [log.task])
            assert track.created_ms == task_row(tables, log.task).created_ms == message.created_ms


def test_clickhouse_away_loses_nothing(
    kafka: KafkaNode, connect: ClientFactory, tables: IndexTables
) -> None:
    log, writer = LogBuilder(new_task()), Writer(kafka)
    n_tries = 0

    def late() -> Any:
        nonlocal n_tries
        n_tries += 1
        if n_tries < 4:
            raise OperationalError("connection refused")
        return connect()

    submit(kafka, submitted(log.task))
    writer.write(log.claim(), log.chunk(target()), log.terminal())
    with running(kafka, late, new_group()):
        wait_until(lambda: status(tables, log.task) == "succeeded")
    assert n_tries == 4


def test_a_restart_under_another_group_changes_no_row(
    kafka: KafkaNode, connect: ClientFactory, tables: IndexTables
) -> None:
    log, writer = LogBuilder(new_task()), Writer(kafka)
    submit(kafka, submitted(log.task))
    writer.write(log.claim(), *(log.chunk(target(), target(2)) for _ in range(5)), log.terminal())
    with running(kafka, connect, new_group()):
        wait_until(lambda: status(tables, log.task) == "succeeded")
    before = [tables.select(name, [log.task]) for name in (TASKS, TRACKS, DETECTIONS)]
    other = LogBuilder(new_task())
    submit(kafka, submitted(other.task))
    Writer(kafka).write(other.claim(), other.terminal())
    with running(kafka, connect, new_group()):  # from the beginning again
        wait_until(lambda: status(tables, other.task) == "succeeded")
    assert [tables.select(name, [log.task]) for name in (TASKS, TRACKS, DETECTIONS)] == before
