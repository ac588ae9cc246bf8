"""While S3 is away a task waits, without a place and without a claim, and no longer."""

import asyncio
import threading
from collections.abc import Callable

import pytest

from streamproc.contract.records import Continue, TaskMessage
from streamproc.errors import UploadsUnavailableError
from streamproc.worker.store_outages import StoreOutages
from streamproc.worker.task_state import Incarnation
from tests.streamproc.memory_log import SUBMITTED, task_state_of
from tests.streamproc.worker.world import World

AWAY = UploadsUnavailableError("away")
TASK = SUBMITTED.task


def n_claims(world: World) -> int:
    return sum(record.kind == "claim" for record in world.writer.records)


async def until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not holds():  # noqa: ASYNC110 - the worker's state has no event
            await asyncio.sleep(0.002)


async def test_who_cannot_begin_waits_without_a_place_and_without_a_claim() -> None:
    world = World("store", AWAY, n_failures=40)
    seen: list[tuple[int, ...]] = []

    def probed() -> None:
        one = world.dispatch
        seen.append((one.n_opening, one.n_working, one.n_waiting_for_store, n_claims(world)))

    world.probed = probed
    assert await world.handle() == 3
    assert set(seen) == {(0, 0, 1, 0)}
    assert n_claims(world) == 1
    assert world.dispatch.n_waiting_for_store == 0
    assert world.chunks()[-1].finish_reason == "stop"
    assert world.writer.letters == []


@pytest.mark.parametrize("n_failures", [1, 5])
@pytest.mark.parametrize("seam", ["open", "next", "second"])
async def test_who_has_claimed_is_handed_over_and_no_death_is_held_against_it(
    seam: str, n_failures: int
) -> None:
    world = World(seam, AWAY, n_failures)
    messages: list[TaskMessage] = [SUBMITTED]
    n_handed_over = 0
    while messages:
        await world.dispatch.handle(messages[-1], lambda: True)
        assert world.writer.letters == []
        messages = world.writer.messages[:]
        world.writer.messages.clear()
        for message in messages:
            n_handed_over += 1
            assert isinstance(message, Continue)
            task_state = task_state_of(world.writer)
            assert task_state.accepts(message)
            assert task_state.suspects(message, Incarnation("another", 2)) == []
    world.dispatch.close()
    *frames, terminal = world.chunks()
    assert [chunk.stream_info.frame_index for chunk in frames] == [0, 1, 2]
    assert terminal.finish_reason == "stop"
    assert (n_handed_over, n_claims(world)) == (n_failures, n_failures + 1)


async def test_a_cancel_ends_the_waiting() -> None:
    world = World("store", AWAY)
    handled = asyncio.create_task(world.handle())
    await until(lambda: world.dispatch.n_waiting_for_store == 1)
    world.cancels.tasks.add(TASK)
    assert await asyncio.wait_for(handled, 10) == 0
    assert world.chunks()[-1].finish_reason == "cancelled"


async def test_a_worker_that_stops_leaves_the_message_to_others() -> None:
    world = World("store", AWAY)
    handled = asyncio.create_task(world.handle())
    await until(lambda: world.dispatch.n_waiting_for_store == 1)
    world.dispatch.stop()
    assert await asyncio.wait_for(handled, 10) is None
    assert (world.writer.records, world.writer.messages) == ([], [])


async def test_a_message_that_is_taken_away_is_let_go() -> None:
    world, ours = World("store", AWAY), True
    handled = asyncio.create_task(world.handle(is_ours=lambda: ours))
    await until(lambda: world.dispatch.n_waiting_for_store == 1)
    ours = False
    assert await asyncio.wait_for(handled, 10) is None
    assert world.writer.records == []


async def test_one_probe_serves_all_who_wait() -> None:
    back = threading.Event()
    n_probes = 0

    def probe(_: str) -> None:
        nonlocal n_probes
        n_probes += 1
        if n_probes == 4:
            back.set()
        if not back.is_set():
            raise AWAY

    store = StoreOutages(probe, pause_s=0.01, max_pause_s=0.02, look_s=0.002)
    names = [f"task {number}" for number in range(100)]
    for name in names:
        store.failed(name)
    waiting = [store.until_there(name, name, lambda: False) for name in names]
    async with asyncio.timeout(10):
        await asyncio.gather(*waiting)
    assert n_probes == 4
    store.close()


async def test_a_task_that_fails_alone_waits_longer_each_time() -> None:
    store = StoreOutages(lambda _: None, pause_s=0.02, max_pause_s=1.0, look_s=0.002)
    loop = asyncio.get_running_loop()
    took_s: list[float] = []
    for _ in range(4):
        store.failed("one")
        began_s = loop.time()
        await store.until_there("one", "one", lambda: False)
        took_s.append(loop.time() - began_s)
    assert took_s[3] >= 0.16
    assert took_s[0] < took_s[3]
    await store.until_there("another", "another", lambda: False)  # has not failed: at once
    store.forget("one")
    store.close()
