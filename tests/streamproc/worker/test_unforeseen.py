"""What nobody foresaw: a few tries, then the task's terminal; nothing stands still, ever."""

import asyncio
import queue
import threading
from collections.abc import Callable, Iterator
from typing import Any

import msgspec
import pytest
import structlog

from streamproc.contract.topics import CHUNKS
from streamproc.errors import LogUnavailableError, TaskFailedError, TaskStateLostError
from streamproc.providers.local import LocalEngine
from streamproc.source.errors import SourceTimeoutError
from streamproc.source.fetch.interrupt import Interrupt
from streamproc.worker.retries import MAX_TRIES, Step, until_done
from tests.streamproc.memory_log import SUBMITTED
from tests.streamproc.worker.world import World
from tests.terminals import error_of


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    """The tracebacks with all variables that structlog draws by default take seconds each."""
    with structlog.testing.capture_logs():
        yield


class BaseFailure(BaseException):
    """As a library in another language raises it: no Exception."""


KINDS = [
    ValueError("http://user:secret@host/"),
    RuntimeError(),
    MemoryError(),
    RecursionError(),
    KeyError("x"),
    OverflowError(),
    UnicodeDecodeError("utf-8", b"\xff", 0, 1, "?"),
    ArithmeticError(),
    StopIteration(),
    BaseFailure(),
]


@pytest.mark.parametrize("failure", KINDS, ids=lambda failure: type(failure).__name__)
@pytest.mark.parametrize("seam", ["open", "next", "second"])
async def test_a_failure_that_stays_ends_the_task_after_a_few_tries(
    seam: str, failure: BaseException
) -> None:
    world = World(seam, failure)
    assert await world.handle() == 0
    terminal = world.chunks()[-1]
    assert error_of(terminal).code == "internal_error"
    assert "secret" not in error_of(terminal).message
    assert world.steps == ["again"] * MAX_TRIES + ["end"]
    (letter,) = world.writer.letters
    assert (letter.task, letter.code, letter.topic) == (SUBMITTED.task, "internal_error", CHUNKS)
    assert world.writer.messages == []  # nobody goes on


@pytest.mark.parametrize("seam", ["open", "next", "second", "resolve"])
async def test_a_failure_that_passes_leaves_no_trace(seam: str) -> None:
    world = World(seam, KeyError("once"), n_failures=MAX_TRIES - 1)
    assert await world.handle() is not None
    *frames, terminal = world.chunks()
    assert [chunk.stream_info.frame_index for chunk in frames] == [0, 1, 2]
    assert terminal.finish_reason == "stop"
    assert world.writer.letters == []


async def test_an_engine_that_does_not_close_costs_nothing() -> None:
    world = World("close", OSError("planted"))
    assert await world.handle() == 3
    assert world.chunks()[-1].finish_reason == "stop"


@pytest.mark.parametrize("after", range(MAX_TRIES + 1))
async def test_a_cancel_between_two_tries_ends_it_as_cancelled(after: int) -> None:
    world = World("next", RuntimeError("planted"))
    fails = world.fails

    def counted(seam: str) -> None:
        if seam == "next" and len(world.steps) >= after:
            world.cancels.tasks.add(SUBMITTED.task)
        fails(seam)

    world.fails = counted  # type: ignore[method-assign] # planted
    assert await world.handle() is not None
    assert world.chunks()[-1].finish_reason == "cancelled"
    assert world.writer.letters == []


async def test_the_next_provider_tries_what_failed_before_the_first_chunk() -> None:
    world = World("next", ZeroDivisionError())
    spec = msgspec.structs.replace(SUBMITTED.spec, providers=("local", "cloud"))
    assert await world.handle(msgspec.structs.replace(SUBMITTED, spec=spec)) == 3
    *frames, terminal = world.chunks()
    assert len(frames) == 3
    assert frames[0].provider == "cloud"
    assert terminal.finish_reason == "stop"


async def test_a_task_that_cannot_even_be_ended_is_left_with_a_dead_letter() -> None:
    world = World("open", RuntimeError("planted"))

    def refuse(*_: Any, **__: Any) -> Any:
        raise RuntimeError("planted")

    world.runner._endings.terminate = refuse  # type: ignore[method-assign] # planted
    assert await world.handle() == 0
    assert world.steps[-1] == "leave"
    assert len(world.steps) < 12
    assert world.writer.letters[-1].code == "task_stuck"


async def test_a_gap_that_stays_is_left_and_kafka_away_is_waited_for() -> None:
    steps: list[Step] = []

    async def lost(step: Step) -> int:
        steps.append(step)
        if step == "leave":
            return 0
        raise TaskStateLostError("a gap")

    assert await until_done(lost, "t", stopping=lambda: False, pause_s=0) == 0
    assert steps[-1] == "leave"
    n_calls = 0

    async def away(step: Step) -> int:
        nonlocal n_calls
        assert step == "again"
        n_calls += 1
        raise LogUnavailableError("away")

    assert await until_done(away, "t", stopping=lambda: n_calls >= 200, pause_s=0) is None


def hangs(began: threading.Event) -> Callable[[Interrupt], None]:
    """Return an opening that takes for ever, unless it is given up."""

    def opens(interrupt: Interrupt) -> None:
        began.set()
        interrupt.wait(60)
        interrupt.raise_if_set()

    return opens


@pytest.mark.parametrize("n_failures", [0, MAX_TRIES - 1])
async def test_a_cancel_ends_an_opening_of_whatever_try(n_failures: int) -> None:
    world, began = World("open", ValueError("planted"), n_failures), threading.Event()
    world.opens = hangs(began)
    handled = asyncio.create_task(world.handle())
    assert await asyncio.to_thread(began.wait, 10)
    world.cancels.tasks.add(SUBMITTED.task)
    assert await asyncio.wait_for(handled, 10) == 0
    assert world.chunks()[-1].finish_reason == "cancelled"
    assert world.steps == ["again"] * (n_failures + 1)


@pytest.mark.parametrize("n_failures", [0, MAX_TRIES - 1])
async def test_a_worker_that_stops_hands_over_what_it_opens(n_failures: int) -> None:
    world, began = World("open", ValueError("planted"), n_failures), threading.Event()
    world.opens = hangs(began)
    handled = asyncio.create_task(world.handle())
    assert await asyncio.to_thread(began.wait, 10)
    world.dispatch.stop()
    assert await asyncio.wait_for(handled, 10) == 0
    assert len(world.writer.messages) == 1  # another worker goes on
    assert world.writer.letters == []


async def test_an_opening_that_misses_its_deadline_ends_the_task() -> None:
    world = World("", ValueError())

    def opens(interrupt: Interrupt) -> None:
        interrupt.set(SourceTimeoutError("the source was not open in time"))
        raise TaskFailedError("source_timeout", "the source was not open in time")

    world.opens = opens
    assert await world.handle() == 0
    assert error_of(world.chunks()[-1]).code == "source_timeout"
    assert world.writer.messages == []  # nobody opens it again


async def test_an_opening_that_cannot_be_given_up_cleanly_is_waited_for() -> None:
    world, began, ends = World("", ValueError()), threading.Event(), threading.Event()

    def wake() -> None:
        ends.set()
        raise RuntimeError("planted")

    def opens(interrupt: Interrupt) -> None:
        with interrupt.wakes(wake):
            began.set()
            assert ends.wait(60)
            interrupt.raise_if_set()

    world.opens = opens
    handled = asyncio.create_task(world.handle())
    assert await asyncio.to_thread(began.wait, 10)
    world.cancels.tasks.add(SUBMITTED.task)
    assert await asyncio.wait_for(handled, 10) == 0
    assert world.chunks()[-1].finish_reason == "cancelled"


async def test_an_opening_that_waits_for_kafka_is_not_counted() -> None:
    world = World("open", LogUnavailableError("away"), n_failures=40)
    assert await world.handle() == 3
    assert world.steps == ["again"] * 41
    assert world.chunks()[-1].finish_reason == "stop"


@pytest.mark.parametrize("n_failures", range(MAX_TRIES + 1))
async def test_a_message_that_was_taken_away_is_let_go_between_two_tries(n_failures: int) -> None:
    world = World("open", RuntimeError("planted"))
    assert await world.handle(is_ours=lambda: len(world.steps) <= n_failures) is None
    assert len(world.steps) == n_failures + 1
    assert world.writer.letters == []


async def test_a_thread_that_cannot_be_started_is_tried_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    world = World("", ValueError())
    submit, left = world.dispatch._batch.openings.submit, iter(range(MAX_TRIES - 1))

    def refuse(*arguments: Any) -> Any:
        if next(left, None) is not None:
            raise RuntimeError("can't start new thread")
        return submit(*arguments)

    monkeypatch.setattr(world.dispatch._batch.openings, "submit", refuse)
    assert await world.handle() == 3
    assert world.steps == ["again"] * MAX_TRIES


@pytest.mark.parametrize("failure", [BaseFailure(), MemoryError(), RecursionError()])
def test_a_feeder_that_dies_of_anything_says_so(failure: BaseException) -> None:
    """A session would else wait for its frames for ever."""
    engine = LocalEngine.__new__(LocalEngine)

    class Source:
        def __iter__(self) -> Iterator[Any]:
            raise failure

    engine._source, engine._items = Source(), queue.Queue()  # type: ignore[assignment] # planted
    engine._closing = threading.Event()
    engine._feed()
    with pytest.raises(Exception, match=type(failure).__name__):
        engine.next(1)
