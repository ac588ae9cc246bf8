"""Turns at costly requests: shared between projects, bounded, and never lost."""

import asyncio
from contextlib import suppress

import pytest

from api.errors import UnavailableError
from api.tasks.fair_queue import FairQueue


async def settle() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


def queue(n_at_once: int, n_waiting: int, n_waiting_per_project: int) -> FairQueue:
    return FairQueue(
        n_at_once, n_waiting, n_waiting_per_project, what="frames", busy_code="frames_busy"
    )


class Visitors:
    """Holders of turns that stay until they are let go."""

    def __init__(self, turns: FairQueue) -> None:
        self._turns = turns
        self.inside: list[str] = []
        self.refused: list[str] = []
        self._gates: dict[str, asyncio.Event] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}

    async def come(self, *names: str) -> None:
        for name in names:
            self._gates[name] = asyncio.Event()
            self._tasks[name] = asyncio.create_task(self._visit(name))
        await settle()

    async def go(self, name: str) -> None:
        self._gates[name].set()
        await settle()

    async def cancel(self, name: str) -> None:
        self._tasks[name].cancel()
        await settle()

    async def _visit(self, name: str) -> None:
        try:
            async with self._turns.of(name[0]):
                self.inside.append(name)
                await self._gates[name].wait()
                self.inside.remove(name)
        except UnavailableError:
            self.refused.append(name)
        except asyncio.CancelledError:
            with suppress(ValueError):
                self.inside.remove(name)


def test_a_project_full_of_slow_frames_leaves_a_turn_and_the_queue_to_others() -> None:
    async def play() -> None:
        visitors = Visitors(queue(2, 32, 8))
        await visitors.come(*[f"a{i}" for i in range(16)])
        assert visitors.inside == ["a0"]
        assert visitors.refused == [f"a{i}" for i in range(9, 16)]
        await visitors.come("b0")
        assert visitors.inside == ["a0", "b0"]

    asyncio.run(play())


def test_projects_take_turns_whatever_each_has_queued() -> None:
    async def play() -> None:
        visitors = Visitors(queue(1, 32, 8))
        await visitors.come("a0", "a1", "a2", "b0", "b1", "c0")
        order = []
        while visitors.inside:
            order += visitors.inside
            await visitors.go(visitors.inside[0])
        assert order == ["a0", "a1", "b0", "c0", "a2", "b1"]

    asyncio.run(play())


def test_the_queue_of_all_is_bounded_too() -> None:
    async def play() -> None:
        visitors = Visitors(queue(1, 4, 3))
        await visitors.come(*[f"{name}{i}" for name in "abc" for i in range(2)])
        assert visitors.refused == ["c1"]

    asyncio.run(play())


@pytest.mark.parametrize("who", ["a0", "b0"])
def test_who_hangs_up_inside_or_in_the_queue_gives_the_turn_back(who: str) -> None:
    async def play() -> None:
        visitors = Visitors(queue(1, 32, 8))
        await visitors.come("a0", "b0", "c0")
        await visitors.cancel(who)
        left = [name for name in ("a0", "b0", "c0") if name != who]
        for name in left:
            assert visitors.inside == [name]
            await visitors.go(name)

    asyncio.run(play())
