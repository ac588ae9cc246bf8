"""Batches of the index: long while tasks only go on, short when one begins or ends."""

import time
from collections.abc import Iterator
from contextlib import closing

import pytest
from confluent_kafka import Consumer, Message

from streamproc.clients.kafka import client_config, consumer_config
from streamproc.contract.records import (
    ChunkRecord,
    Claim,
    Continue,
    FoldPoint,
    encode_task_message,
)
from streamproc.contract.topics import CHUNKS, TASKS
from streamproc.sinks.index.batches import BATCH_S, STEADY_S, goes_on, next_batch
from tests.brokers import KafkaNode
from tests.streamproc.sinks.kafka_logs import Writer, new_group, new_task, wait_until
from tests.streamproc.sinks.logs import LogBuilder, submitted, target


def message(record: ChunkRecord) -> Message:
    return Message(topic=CHUNKS, value=record.value, headers=[*record.headers()])


def test_the_middle_of_a_task_goes_on_and_its_ends_do_not() -> None:
    log = LogBuilder(new_task())
    begins = [log.claim(), log.chunk(target())]
    middle = [log.chunk(target()), log.claim(), log.chunk()]
    assert [goes_on(message(record)) for record in begins] == [False, False]
    assert [goes_on(message(record)) for record in middle] == [True, True, True]
    assert not goes_on(message(log.terminal()))
    assert not goes_on(Message(topic=CHUNKS, value=b"?"))


def test_a_slice_goes_on_and_a_submission_does_not() -> None:
    new = submitted(new_task())
    claim = Claim("worker", 0, "local", "f32", "CPU")
    later = Continue(new, 1, FoldPoint(0), 0, claim, 0)
    values = [encode_task_message(new), encode_task_message(later), b"?"]
    assert [goes_on(Message(topic=TASKS, value=value)) for value in values] == [False, True, False]


@pytest.fixture
def log(kafka: KafkaNode) -> LogBuilder:
    """A task whose claim and first chunk are in Kafka."""
    log = LogBuilder(new_task())
    Writer(kafka).write(log.claim(), log.chunk(target()))
    return log


@pytest.fixture
def consumer(kafka: KafkaNode, log: LogBuilder) -> Iterator[Consumer]:
    """It has read them."""
    config = consumer_config(client_config(kafka.settings), new_group())
    with closing(Consumer(config)) as consumer:
        consumer.subscribe([CHUNKS])
        read: list[Message] = []

        def has_read() -> bool:
            read.extend(consumer.consume(100, 0.2))
            return sum(one.key() == log.task.encode() for one in read) == 2

        wait_until(has_read)
        yield consumer


def test_a_batch_takes_longer_while_a_task_goes_on_than_when_it_ends(
    kafka: KafkaNode, consumer: Consumer, log: LogBuilder
) -> None:
    writer = Writer(kafka)
    writer.write(log.chunk(target()))
    begun_s = time.monotonic()
    assert len(next_batch(consumer, lambda: False)) == 1
    assert time.monotonic() - begun_s >= STEADY_S
    writer.write(log.chunk(target()), log.terminal())
    begun_s = time.monotonic()
    assert len(next_batch(consumer, lambda: False)) == 2
    assert BATCH_S <= time.monotonic() - begun_s < STEADY_S


def test_a_role_that_ends_does_not_wait_for_a_steady_batch(
    kafka: KafkaNode, consumer: Consumer, log: LogBuilder
) -> None:
    Writer(kafka).write(log.chunk(target()))
    begun_s = time.monotonic()
    assert len(next_batch(consumer, lambda: True)) == 1
    assert time.monotonic() - begun_s < STEADY_S
