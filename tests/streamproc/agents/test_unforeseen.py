"""What nobody foresaw: a few tries, then the task's terminal; nothing stands still, ever."""

import queue
import threading
from collections.abc import Callable, Iterator
from typing import Any

import msgspec
import pytest
import structlog

from streamproc.agents.log import LogReader
from streamproc.agents.sessions import Sessions
from streamproc.agents.slices import SliceRunner
from streamproc.agents.standing import Life
from streamproc.agents.tries import MAX_TRIES, Step, until_done
from streamproc.contract.chunk import Chunk, decode_chunk
from streamproc.contract.framing import DONE, parse_events
from streamproc.contract.records import ChunkRecord, DeadLetter, Submitted, TaskMessage
from streamproc.contract.topics import CHUNKS
from streamproc.errors import LogUnavailableError, StandingLostError
from streamproc.providers.base import EndOfStream, FrameResult
from streamproc.providers.local import LocalEngine
from tests.streamproc.memory_log import SUBMITTED, MemoryLog, standing_of


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


class Writer(MemoryLog):
    def __init__(self) -> None:
        super().__init__()
        self.messages: list[TaskMessage] = []
        self.letters: list[DeadLetter] = []

    def send_task(self, message: TaskMessage, task: str, partition: int) -> None:
        self.messages.append(message)

    def send_dead(self, letter: DeadLetter) -> None:
        self.letters.append(letter)


class Reader(LogReader):
    def __init__(self, log: MemoryLog) -> None:
        self._log = log

    def end(self, partition: int, timeout_s: float = 1.0) -> int:
        return len(self._log.records)

    def read(self, partition: int, start: int, end: int, task: str) -> Iterator[ChunkRecord]:
        for record in self._log.records[start:end]:
            epoch = record.position if record.kind == "claim" else record.epoch
            yield msgspec.structs.replace(record, epoch=epoch, time_ms=1)


class Cancels:
    def __init__(self) -> None:
        self.tasks: set[str] = set()

    def requested(self, task: str) -> bool:
        return task in self.tasks

    def catch_up(self) -> None:
        """All is read."""


class Engine:
    """Three frames; `fails` is called at every seam with its name."""

    pin = "pin"
    light = False

    def __init__(self, fails: Callable[[str], None], start: int) -> None:
        self._fails, self._next = fails, start

    def next(self, timeout_s: float) -> FrameResult | EndOfStream | None:
        self._fails("next")
        if self._next == 1:
            self._fails("second")
        if self._next == 3:
            return EndOfStream("stop", 3, 0, 0)
        frame, self._next = self._next, self._next + 1
        return FrameResult(frame, frame, 3, frame + 1, 0, 0, 10.0, ())

    def state(self) -> bytes:
        self._fails("state")
        return b"%d" % self._next

    def abandon(self) -> None:
        """Nothing runs elsewhere."""

    def close(self) -> None:
        self._fails("close")


class World:
    """One worker over a partition in memory, with a fault at one seam."""

    def __init__(self, seam: str, failure: BaseException, n_failures: int = 10**6) -> None:
        self.seam, self.failure, self.n_left = seam, failure, n_failures
        self.writer, self.cancels = Writer(), Cancels()
        self.n_claims_seen = 0
        self.runner = SliceRunner(
            Life("w", 1),
            60.0,
            self.writer,
            None,  # type: ignore[arg-type] # nobody is suspected here
            self.cancels,  # type: ignore[arg-type]
            self,  # type: ignore[arg-type] # the engines
            Sessions(4),
            stopping=lambda: False,
            now_ms=lambda: 1,
        )
        self.steps: list[Step] = []

    def fails(self, seam: str) -> None:
        if seam == self.seam and self.n_left > 0:
            self.n_left -= 1
            raise self.failure

    def resolve(self, name: str) -> tuple[str, str]:
        self.fails("resolve")
        return "CPU", "f32"

    def open(self, name: str, submitted: Submitted, precision: str, state: Any, pin: Any) -> Engine:
        self.fails("open")
        if name != "local":
            return Engine(lambda _: None, 0)
        return Engine(self.fails, 0 if state is None else int(state))

    def abandon(self, name: str, pin: str | None) -> None:
        """Nothing runs elsewhere."""

    async def handle(self, message: TaskMessage = SUBMITTED) -> int | None:
        """Do what a worker does with a message."""
        reader = Reader(self.writer)

        async def do(step: Step) -> int:
            self.steps.append(step)
            return self.runner.step(message, reader, step)

        return await until_done(do, SUBMITTED.task, stopping=lambda: False, pause_s=0)

    def chunks(self) -> list[Chunk]:
        """Return the chunks of the log, which must be closed."""
        standing, log = standing_of(Writer()), b""
        assert standing.fold.next_off == 0
        for record in Reader(self.writer).read(0, 0, 10**6, ""):
            off = standing.fold.next_off
            standing.take(record)
            if standing.fold.next_off > off:
                log += record.value
        assert standing.fold.closed
        events = list(parse_events(log))
        assert events[-1].data == DONE
        return [decode_chunk(event.data) for event in events[:-1]]


@pytest.mark.parametrize("failure", KINDS, ids=lambda failure: type(failure).__name__)
@pytest.mark.parametrize("seam", ["open", "next", "second"])
async def test_a_failure_that_stays_ends_the_task_after_a_few_tries(
    seam: str, failure: BaseException
) -> None:
    world = World(seam, failure)
    assert await world.handle() == 0
    terminal = world.chunks()[-1]
    assert terminal.error.code == "internal_error"  # type: ignore[union-attr]
    assert "secret" not in terminal.error.message  # type: ignore[union-attr]
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

    world.fails = counted  # type: ignore[method-assign]
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

    world.runner._terminate = refuse  # type: ignore[method-assign]
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
        raise StandingLostError("a gap")

    assert await until_done(lost, "t", stopping=lambda: False, pause_s=0) == 0
    assert steps[-1] == "leave"
    n_calls = 0

    async def away(step: Step) -> int:
        nonlocal n_calls
        assert step == "again"
        n_calls += 1
        raise LogUnavailableError("away")

    assert await until_done(away, "t", stopping=lambda: n_calls >= 200, pause_s=0) is None


@pytest.mark.parametrize("failure", [BaseFailure(), MemoryError(), RecursionError()])
def test_a_feeder_that_dies_of_anything_says_so(failure: BaseException) -> None:
    """A session would else wait for its frames for ever."""
    engine = LocalEngine.__new__(LocalEngine)

    class Source:
        def __iter__(self) -> Iterator[Any]:
            raise failure

    engine._source, engine._items = Source(), queue.Queue()  # type: ignore[assignment]
    engine._closing = threading.Event()
    engine._feed()
    with pytest.raises(Exception, match=type(failure).__name__):
        engine.next(1)
