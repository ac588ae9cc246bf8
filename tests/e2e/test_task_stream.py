"""The worker's consumer: a worker that takes nothing more does not stay."""

import asyncio
from collections.abc import Callable
from pathlib import Path

import msgspec

from streamproc.contract import env
from streamproc.contract.records import TaskMessage
from streamproc.settings import read_settings
from streamproc.worker.faust_app import TaskStream
from tests.brokers import KafkaNode


async def refuse(_: TaskMessage, _is_ours: Callable[[], bool]) -> bool:
    return False


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
