"""The archive role on a real Apache Kafka and a real S3."""

import hashlib
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import pytest
from confluent_kafka import Consumer, KafkaError, TopicPartition

from streamproc.clients.kafka import client_config, consumer_config
from streamproc.clients.object_store import S3Objects
from streamproc.contract import env
from streamproc.contract.object_keys import final_key
from streamproc.contract.records import TrackVector
from streamproc.contract.store_settings import StoreSettings
from streamproc.contract.topics import ARCHIVE_GROUP, CHUNKS
from streamproc.errors import StoreUnavailableError
from streamproc.sinks.archive.actions import segment_info
from streamproc.sinks.archive.consumer import ArchiveRole
from streamproc.sinks.archive.segments import segments
from tests.brokers import KafkaNode
from tests.engines import S3Server
from tests.ports import die_with_parent
from tests.streamproc.sinks.kafka_logs import Writer, new_group, new_task, wait_until
from tests.streamproc.sinks.logs import PROJECT, LogBuilder, target, unit


class Switchable(S3Objects):
    """The real store behind a switch."""

    away = False

    def put_if_absent(self, key: str, body: bytes, metadata: Mapping[str, str]) -> bool:
        if self.away:
            raise StoreUnavailableError("switched off")
        return super().put_if_absent(key, body, metadata)


@pytest.fixture
def bucket(new_bucket: Callable[[], S3Server]) -> S3Server:
    return new_bucket()


@pytest.fixture
def store(bucket: S3Server) -> Iterator[Switchable]:
    objects = Switchable(StoreSettings.from_environ(bucket.environ))
    yield objects
    objects.close()


@contextmanager
def running(kafka: KafkaNode, store: S3Objects, group: str) -> Iterator[ArchiveRole]:
    with driven(ArchiveRole(consumer_config(client_config(kafka.settings), group), store)) as role:
        yield role


@contextmanager
def driven(role: ArchiveRole) -> Iterator[ArchiveRole]:
    stop = threading.Event()
    thread = threading.Thread(target=role.run, args=(stop,))
    thread.start()
    try:
        yield role
    finally:
        stop.set()
        thread.join(30)
        assert not thread.is_alive()


def archived(store: S3Objects, task: str) -> bytes:
    return b"".join(store.get(key) or b"" for key, _, _ in segments(store, PROJECT, task))


def committed(kafka: KafkaNode, group: str, partition: int) -> int:
    consumer = Consumer(consumer_config(client_config(kafka.settings), group))
    try:
        return consumer.committed([TopicPartition(CHUNKS, partition)], timeout=10)[0].offset
    finally:
        consumer.close()


def is_past(kafka: KafkaNode, group: str, partition: int, position: int) -> bool:
    return committed(kafka, group, partition) > position


def test_a_log_reaches_s3_byte_for_byte(kafka: KafkaNode, store: Switchable) -> None:
    log, writer, group = LogBuilder(new_task()), Writer(kafka), new_group()
    with running(kafka, store, group):
        writer.write(log.claim(), *(log.chunk(target()) for _ in range(3)))
        wait_until(lambda: archived(store, log.task) == log.log)
        writer.write(log.claim(), log.chunk(target(), vectors=[TrackVector(1, 0.5, unit(1))]))
        writer.write(log.terminal())
        wait_until(lambda: store.get(final_key(PROJECT, log.task)) is not None)
    final = json.loads(store.get(final_key(PROJECT, log.task)) or b"")
    assert archived(store, log.task) == log.log
    assert final["sha256"] == hashlib.sha256(log.log).hexdigest()
    assert final["status"] == "succeeded"
    last = [key for key, _, _ in segments(store, PROJECT, log.task)][-1]
    head = store.head(last)
    assert head is not None
    assert segment_info(head).next_position == writer.offsets[-1][1] + 1
    partition, position = writer.offsets[-1]
    assert committed(kafka, group, partition) == position + 1


class Refused(ArchiveRole):
    """Hears of commits that they were refused, up to the first of `place`, as by a rebalance."""

    place = (-1, -1)
    heard: tuple[tuple[int, int], ...] = ()

    def _on_commit(self, error: KafkaError | None, offsets: Sequence[TopicPartition]) -> None:
        if self.place not in self.heard:
            error = KafkaError(KafkaError.REBALANCE_IN_PROGRESS)
        self.heard += tuple((found.partition, found.offset) for found in offsets)
        super()._on_commit(error, offsets)


def test_a_commit_that_was_refused_is_asked_for_again(kafka: KafkaNode, store: Switchable) -> None:
    log, writer, group = LogBuilder(new_task()), Writer(kafka), new_group()
    writer.write(log.claim(), log.chunk(target()), log.terminal())
    partition, position = writer.offsets[-1]
    role = Refused(consumer_config(client_config(kafka.settings), group), store)
    role.place = (partition, position + 1)
    with driven(role):
        wait_until(lambda: role.heard.count(role.place) == 2)


def test_s3_away_loses_nothing_and_commits_nothing(kafka: KafkaNode, store: Switchable) -> None:
    log, writer, group = LogBuilder(new_task()), Writer(kafka), new_group()
    store.away = True
    with running(kafka, store, group):
        writer.write(log.claim(), *(log.chunk(target()) for _ in range(5)), log.terminal())
        partition, _ = writer.offsets[0]
        wait_until(lambda: _end_of(kafka, partition) > writer.offsets[-1][1])
    assert committed(kafka, group, partition) <= writer.offsets[0][1]
    store.away = False
    with running(kafka, store, group):
        wait_until(lambda: store.get(final_key(PROJECT, log.task)) is not None)
    assert archived(store, log.task) == log.log
    assert committed(kafka, group, partition) > writer.offsets[-1][1]


def _end_of(kafka: KafkaNode, partition: int) -> int:
    consumer = Consumer(consumer_config(client_config(kafka.settings), "t-end"))
    try:
        return consumer.get_watermark_offsets(TopicPartition(CHUNKS, partition), timeout=10)[1]
    finally:
        consumer.close()


def test_a_restart_in_the_middle_goes_on_from_s3(kafka: KafkaNode, store: Switchable) -> None:
    log, writer, group = LogBuilder(new_task()), Writer(kafka), new_group()
    with running(kafka, store, group):
        writer.write(log.claim(), *(log.chunk(target()) for _ in range(3)))
        wait_until(lambda: archived(store, log.task) == log.log)
    with running(kafka, store, group):
        writer.write(log.chunk(target()), log.terminal("cancelled"))
        wait_until(lambda: store.get(final_key(PROJECT, log.task)) is not None)
    final = json.loads(store.get(final_key(PROJECT, log.task)) or b"")
    assert final["length"] == len(log.log)
    assert final["sha256"] == hashlib.sha256(log.log).hexdigest()
    assert (final["status"], final["provider"]) == ("cancelled", "local")


def test_two_archivers_of_one_topic_agree(kafka: KafkaNode, store: Switchable) -> None:
    logs = [LogBuilder(new_task()) for _ in range(6)]
    writers = [Writer(kafka) for _ in logs]
    one, two = new_group(), new_group()
    with running(kafka, store, one), running(kafka, store, two):  # zombies of each other
        for log, writer in zip(logs, writers, strict=True):
            vectors = [TrackVector(1, 0.5, unit(1))]
            writer.write(log.claim(), *(log.chunk(target(), vectors=vectors) for _ in range(4)))
            writer.write(log.terminal())
        wait_until(lambda: all(store.get(final_key(PROJECT, log.task)) is not None for log in logs))
        for group in (one, two):
            for writer in writers:
                partition, position = writer.offsets[-1]
                wait_until(partial(is_past, kafka, group, partition, position))
    for log in logs:
        assert archived(store, log.task) == log.log


def test_the_role_says_when_it_is_ready_and_leaves_on_sigterm(
    kafka: KafkaNode, bucket: S3Server, store: Switchable, tmp_path: Path
) -> None:
    log, writer = LogBuilder(new_task()), Writer(kafka)
    ready = tmp_path / "ready"
    process = subprocess.Popen(
        [sys.executable, "-m", "streamproc", "archive"],
        env={**os.environ, **kafka.environ, **bucket.environ, env.READY_FILE: str(ready)},
        preexec_fn=die_with_parent,  # noqa: PLW1509 - no lock of another thread is needed
    )
    try:
        wait_until(lambda: ready.exists() and ready.read_text() == str(process.pid))
        writer.write(log.claim(), log.chunk(target()))
        wait_until(lambda: archived(store, log.task) == log.log)
        writer.write(log.chunk(target()))
        process.send_signal(signal.SIGTERM)
        assert process.wait(15) == 0
    finally:
        process.kill()
        process.wait()
    assert committed(kafka, ARCHIVE_GROUP, writer.offsets[0][0]) >= writer.offsets[1][1]


def test_an_object_is_stored_once(store: Switchable) -> None:
    assert store.put_if_absent("p/x", b"one", {"a": "1"})
    assert not store.put_if_absent("p/x", b"two", {})
    assert store.get("p/x") == b"one"
    head = store.head("p/x")
    assert head is not None
    assert (head.size, head.metadata) == (3, {"a": "1"})
    assert (store.get("p/y"), store.head("p/y")) == (None, None)
    assert [item.key for item in store.keys("p/")] == ["p/x"]
