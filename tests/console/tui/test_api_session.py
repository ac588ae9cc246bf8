"""The console's session with an api: what is under way when it is closed."""

import asyncio
import os
from typing import Any

import psutil
import pytest

from console.client import calls
from console.client.endpoint import Endpoint
from console.tui.api_session import ApiSession
from console.tui.clock import Clock
from tests.console.tui.recorded_api import KEY


def open_connections(url: str) -> int:
    """The process's own connections to the server at `url`, as the kernel lists them."""
    port = int(url.rpartition(":")[2])
    found = psutil.Process(os.getpid()).net_connections("tcp")
    return sum(bool(one.raddr) and one.raddr.port == port for one in found)


def session_at(url: str) -> ApiSession:
    return ApiSession(Endpoint(url, KEY, project="p"), lambda _: None, Clock())


@pytest.mark.parametrize("n_turns", range(0, 30, 2))
async def test_requests_that_begin_while_it_is_closed_leave_no_connection(
    url: str, n_turns: int
) -> None:
    session = session_at(url)
    later: list[asyncio.Task[Any]] = []

    async def refreshes_when_it_is_cancelled() -> None:
        try:
            while True:
                await session.ask(calls.system())
        finally:
            later.extend(asyncio.create_task(session.ask(calls.system())) for _ in range(3))
            for _ in range(n_turns):  # of the event loop: so far do the new ones come
                await asyncio.sleep(0)

    first = asyncio.create_task(refreshes_when_it_is_cancelled())
    await session.ask(calls.system())
    assert open_connections(url)
    await session.close()
    assert open_connections(url) == 0
    await asyncio.gather(first, *later, return_exceptions=True)
    assert all(task.cancelled() for task in (first, *later))
    assert len(later) == 3
    assert open_connections(url) == 0


async def test_a_request_after_the_end_is_cancelled(url: str) -> None:
    session = session_at(url)
    await session.close()
    with pytest.raises(asyncio.CancelledError):
        await session.ask(calls.system())
