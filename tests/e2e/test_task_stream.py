"""The worker's consumer: a worker that takes nothing more does not stay."""

import asyncio
from collections.abc import Callable
from pathlib import Path

import msgspec

from streamproc.contract import env
from streamproc.contract.records import TaskMessage
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
