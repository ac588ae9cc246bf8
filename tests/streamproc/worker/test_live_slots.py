"""A live task waits for no file, and is counted once, between its slices too."""

import asyncio
import threading
import time
from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from streamproc.contract.records import Submitted, TaskMessage
from streamproc.contract.task_spec import LiveOptions
from streamproc.worker.live_tasks import BETWEEN_SLICES_S, LiveTasks
from streamproc.worker.places import OVERCOMMIT, live_places
from streamproc.worker.session import Session
from streamproc.worker.shared_lock import SharedLock
from streamproc.worker.wait_queue import Ticket
from tests.streamproc.memory_log import SUBMITTED
from tests.streamproc.worker.world import World

WAIT_S = 10.0


def live(task: str = "vt_live") -> Submitted:
    spec = msgspec.structs.replace(SUBMITTED.spec, live=LiveOptions(), max_frames=None)
    return msgspec.structs.replace(SUBMITTED, task=task, spec=spec)


class Held(World):
    """The first frame of the file waits for `go_on`; that of others does not."""

    def __init__(self) -> None:
        super().__init__("", ValueError())
        self.go_on, self.began = threading.Event(), threading.Event()

    def open(self, name: str, submitted: Submitted, *others: Any) -> Any:
        engine = super().open(name, submitted, *others)
        if submitted.spec.live is None:
            engine._fails = self._hold
        return engine

    def _hold(self, seam: str) -> None:
        if seam == "next":
            self.began.set()
            assert self.go_on.wait(WAIT_S)


async def test_a_live_task_runs_while_all_slots_have_files() -> None:
    world = Held()
    file = asyncio.create_task(world.dispatch.handle(SUBMITTED, lambda: True))
    assert await asyncio.to_thread(world.began.wait, WAIT_S)
    assert (world.dispatch.n_working, world.dispatch.n_live) == (1, 0)
    assert await asyncio.wait_for(world.dispatch.handle(live(), lambda: True), WAIT_S) == 3
    assert not file.done()
    assert (world.dispatch.n_working, world.dispatch.n_live) == (1, 1)  # its next slice may come
    world.go_on.set()
    assert await asyncio.wait_for(file, WAIT_S) == 3
    world.dispatch.close()


async def test_a_stop_and_a_cancel_reach_those_that_wait_for_a_live_place() -> None:
    world = World("", ValueError())
    line = world.dispatch._live.line
    for n in range(OVERCOMMIT):
        await line.opening(Ticket(f"vt_{n}", "p"))
    stopped, cancelled = (
        asyncio.create_task(world.dispatch.handle(live(task), lambda: True))
        for task in ("vt_stopped", "vt_cancelled")
    )
    looks = asyncio.create_task(world.dispatch.look_around())
    world.cancels.tasks.add("vt_cancelled")
    assert await asyncio.wait_for(cancelled, WAIT_S) == 0
    assert not stopped.done()
    world.dispatch.stop()
    assert await asyncio.wait_for(stopped, WAIT_S) is None
    looks.cancel()
    world.dispatch.close()


async def test_more_live_tasks_than_slots_run_at_once_up_to_a_limit() -> None:
    places = live_places(2)
    tickets = [Ticket(f"vt_{n}", f"project {n % 3}") for n in range(2 * OVERCOMMIT + 1)]
    for ticket in tickets[:-1]:
        await asyncio.wait_for(places.line.opening(ticket), WAIT_S)
    for ticket in tickets[:-1]:
        await asyncio.wait_for(places.line.slot_after_opening(ticket), WAIT_S)
    assert places.line.n_working == 2 * OVERCOMMIT
    last = asyncio.create_task(places.line.slot(tickets[-1]))
    await asyncio.sleep(0)
    assert not last.done()
    places.line.leave(tickets[0])
    await asyncio.wait_for(last, WAIT_S)
    places.close()


@pytest.mark.parametrize(
    ("message", "is_alone", "slice_s"),
    [(SUBMITTED, False, 60.0), (live(), False, 10.0), (live(), True, 60.0)],
)
async def test_a_live_slice_has_its_own_length_unless_it_runs_alone(
    monkeypatch: pytest.MonkeyPatch, message: TaskMessage, is_alone: bool, slice_s: float
) -> None:
    """The file's is 60 s in this world."""
    left_s: list[float] = []
    run = Session.run

    def noted(session: Session, *arguments: Any, **named: Any) -> int:
        left_s.append(named["deadline_s"] - time.monotonic())
        return run(session, *arguments, **named)

    monkeypatch.setattr(Session, "run", noted)
    world = World("", ValueError())
    may_go_on = world.runner._may_go_on

    def marked(one: Any, reader: Any) -> bool:
        goes_on = may_go_on(one, reader)
        one.alone = is_alone
        return goes_on

    monkeypatch.setattr(world.runner, "_may_go_on", marked)
    assert await world.handle(message) == 3
    assert left_s == [pytest.approx(slice_s, abs=1.0)]


async def test_a_live_slice_ends_for_one_that_must_run_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    answers: list[bool] = []
    threads: list[threading.Thread] = []

    def looks(session: Session, *_: Any, gives_way: Callable[[], bool], **__: Any) -> int:
        answers.append(gives_way())
        alone = threading.Thread(target=_hold_once, args=(world.runner._lock,))
        alone.start()
        while not world.runner._lock.is_awaited:
            time.sleep(0.001)
        answers.append(gives_way())
        threads.append(alone)
        return 0

    monkeypatch.setattr(Session, "run", looks)
    world = World("", ValueError())
    assert await world.handle(live()) == 0
    threads[0].join(WAIT_S)
    assert answers == [False, True]


def _hold_once(lock: SharedLock) -> None:
    with lock.held(exclusive=True):
        pass


def test_a_task_is_counted_once_and_a_moment_after_its_slice() -> None:
    tasks = LiveTasks()
    tasks.enters("a")
    tasks.enters("b")
    tasks.enters("a")  # an old message of it
    assert tasks.count(0.0) == 2
    tasks.leaves("a", 1.0)
    tasks.leaves("b", 1.0)
    assert tasks.count(1.0 + BETWEEN_SLICES_S) == 1  # one of a's messages is here
    tasks.leaves("a", 10.0)
    assert tasks.count(10.0 + BETWEEN_SLICES_S - 0.1) == 1
    tasks.enters("a")
    tasks.leaves("a", 20.0)
    assert tasks.count(20.0) == 1
    assert tasks.count(20.0 + BETWEEN_SLICES_S) == 0
