"""Byte counters on streams with heartbeats: silences and cuts cost them no byte."""

import asyncio
import os
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from api.log.sse_response import HEARTBEAT
from console.client.async_client import AsyncClient
from console.client.log_stream import Following
from streamproc.contract import env
from tests.api.server import LiveApi, ProjectClient, until
from tests.api.streams import stream_path
from tests.api.test_tasks_route import submit
from tests.api.worker import StandInWorker
from tests.chaos.proxy import FaultProxy
from tests.contract.documented import fenced
from tests.plugins.missing import needs_program
from tests.streamproc.sinks.logs import target

BASH_S = 60.0


@needs_program("curl", promise="the loop of docs/protocol.md that counts bytes")
async def test_byte_counters_leave_heartbeats_out_over_cuts(
    project: ProjectClient, worker: StandInWorker, live: LiveApi, tmp_path: Path
) -> None:
    task = await submit(project)
    key = project.headers["authorization"].split()[1]
    proxy = FaultProxy(urlsplit(live.url).port or 0)
    url = f"http://127.0.0.1:{proxy.port}"
    taken, by_loop = bytearray(), tmp_path / "log.txt"

    async def follow() -> None:
        async with AsyncClient(url, key) as client:
            async for piece in client.follow(Following(task, heartbeat_s=1)):
                taken.extend(piece.data)

    loop = await asyncio.create_subprocess_exec(
        "bash",
        "-c",
        fenced("docs/protocol.md", "sh").replace("sleep 1", "sleep 0.1"),
        cwd=tmp_path,
        env={**os.environ, env.URL: url, env.KEY: key, "TASK": task},
    )
    following = asyncio.create_task(follow())
    try:
        worker.claim(project.project, task)
        for _ in range(3):
            await asyncio.to_thread(worker.chunk, task, target())
            log = worker.logs[task].log

            async def both_have_it(log: bytes = log) -> bool:
                return taken == log and by_loop.read_bytes() == log

            await until(both_have_it, within_s=20)
            await a_silence(live, key, task)
            proxy.cut()
        log = await asyncio.to_thread(worker.end, task)
        await asyncio.wait_for(following, BASH_S)
        assert await asyncio.wait_for(loop.wait(), BASH_S) == 0
    finally:
        following.cancel()
        if loop.returncode is None:
            loop.kill()
            await loop.wait()
        await asyncio.to_thread(proxy.close)
    assert taken == log
    assert by_loop.read_bytes() == log


async def a_silence(live: LiveApi, key: str, task: str) -> None:
    """Wait until a stream that begins now has had a heartbeat: those that are open have, too."""
    got = b""
    async with (
        live.client(key) as client,
        client.stream("GET", stream_path(task, "heartbeat=1")) as answer,
    ):
        async for piece in answer.aiter_raw():
            got += piece
            if got.endswith(HEARTBEAT):
                return
    pytest.fail("no heartbeat")
