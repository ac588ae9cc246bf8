"""The worker's consumer: a worker that takes nothing more does not stay."""

import asyncio
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest
from confluent_kafka import Producer

from streamproc.contract import env
from streamproc.contract.records import TaskMessage, encode_task_message
from streamproc.contract.task_spec import LiveOptions
from streamproc.contract.topics import LIVE, TASKS
from streamproc.settings import read_settings
from streamproc.worker.faust_app import TaskStream
from streamproc.worker.task_state import submission
from tests import workers
from tests.brokers import KafkaNode


async def refuse(_: TaskMessage, _is_ours: Callable[[], bool]) -> bool:
    return False


async def test_a_seek_to_what_was_committed_misses_no_record_of_a_partition_without_a_commit(
    kafka: KafkaNode, tmp_path: Path
) -> None:
    """Faust seeks so after each rebalance, where fetched records may have been dropped."""
    taken: asyncio.Queue[str] = asyncio.Queue()

    async def take(message: TaskMessage, _is_ours: Callable[[], bool]) -> bool:
        await taken.put(submission(message).task)
        return False

    settings = read_settings({**kafka.environ, env.SESSION_TIMEOUT_S: "3"})
    settings = msgspec.structs.replace(settings, state_dir=tmp_path)
    stream = TaskStream(settings, take, lambda: None)
    await stream.start()
    try:
        task = workers.submission(kafka, workers.make_spec("file:///a.mp4"))
        workers.send(kafka, task).close()
        assert await asyncio.wait_for(taken.get(), 30) == task.task
        await stream.app.consumer.perform_seek()
        assert await asyncio.wait_for(taken.get(), 30) == task.task
    finally:
        await asyncio.wait_for(stream.stop(1.0), 60)


async def test_a_live_task_is_taken_before_a_backlog_of_files(
    kafka: KafkaNode, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also of one that is longer than what the worker and Faust hold."""
    for name, bound in (("_MAX_TAKEN", 2), ("_BUFFERED", 50), ("_POLL_RECORDS", 2)):
        monkeypatch.setattr(f"streamproc.worker.faust_app.{name}", bound)
    files, cameras = asyncio.Queue[str](), asyncio.Queue[str]()

    async def take(message: TaskMessage, _is_ours: Callable[[], bool]) -> bool:
        is_file = submission(message).spec.live is None
        await (files if is_file else cameras).put(submission(message).task)
        if is_file:
            await released.wait()
        return True

    released = asyncio.Event()
    settings = read_settings({**kafka.environ, env.SESSION_TIMEOUT_S: "3"})
    settings = msgspec.structs.replace(settings, state_dir=tmp_path)
    stream = TaskStream(settings, take, lambda: None)
    await stream.start()
    try:
        file = workers.submission(kafka, workers.make_spec("file:///a.mp4"), "vt_file")
        spec = msgspec.structs.replace(file.spec, live=LiveOptions(), max_frames=None)
        producer = Producer({"bootstrap.servers": kafka.bootstrap})
        for n in range(400):
            producer.produce(TASKS, encode_task_message(file), partition=n % len(stream.partitions))
        producer.flush(10)
        for _ in range(2):
            await asyncio.wait_for(files.get(), 30)
        for n in range(3):  # the second one comes when all buffers are full
            workers.send(kafka, workers.submission(kafka, spec, f"vt_{n}")).close()
            assert await asyncio.wait_for(cameras.get(), 10) == f"vt_{n}"
        assert stream.waiting_for == "slots"
        assert {topic for topic, _ in stream.positions()} == {TASKS, LIVE}
        assert len(stream.positions()) == 2 * len(stream.partitions)
        assert files.empty()
        released.set()
        for _ in range(398):
            await asyncio.wait_for(files.get(), 30)
    finally:
        released.set()
        await asyncio.wait_for(stream.stop(1.0), 60)


async def test_a_worker_whose_consumer_gave_up_leaves(kafka: KafkaNode, tmp_path: Path) -> None:
    settings = read_settings({**kafka.environ, env.SESSION_TIMEOUT_S: "3"})
    settings = msgspec.structs.replace(settings, state_dir=tmp_path)
    asked_to_leave = asyncio.Event()
    stream = TaskStream(settings, refuse, asked_to_leave.set)
    await stream.start()
    assert not asked_to_leave.is_set()
    await stream.app.crash(RuntimeError("no commit"))
    await asyncio.wait_for(asked_to_leave.wait(), 60)
    await asyncio.wait_for(stream.stop(1.0), 60)
