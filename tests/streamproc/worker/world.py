"""One worker over a partition in memory: its dispatch, slices and sessions, with planted faults."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import msgspec

from streamproc.contract.chunk import Chunk, decode_chunk
from streamproc.contract.framing import DONE, parse_events
from streamproc.contract.records import ChunkRecord, DeadLetter, Submitted, TaskMessage
from streamproc.providers.engine import EndOfStream, FrameResult
from streamproc.source.fetch.interrupt import Interrupt
from streamproc.source.types import FrameCounts
from streamproc.worker.dispatcher import Dispatch
from streamproc.worker.places import Places
from streamproc.worker.retries import Step
from streamproc.worker.session_cache import SessionCache
from streamproc.worker.slice_runner import SliceRunner
from streamproc.worker.store_outages import StoreOutages
from streamproc.worker.task_log import LogReader
from streamproc.worker.task_state import Incarnation
from tests.streamproc.memory_log import SUBMITTED, MemoryLog, task_state_of


class Writer(MemoryLog):
    def __init__(self) -> None:
        super().__init__()
        self.messages: list[TaskMessage] = []
        self.letters: list[DeadLetter] = []

    def send_task(self, message: TaskMessage) -> None:
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
            if task not in {"", record.task}:
                continue
            epoch = record.position if record.kind == "claim" else record.epoch
            yield msgspec.structs.replace(record, epoch=epoch, time_ms=1)


class Cancellations:
    def __init__(self) -> None:
        self.tasks: set[str] = set()

    def requested(self, task: str) -> bool:
        return task in self.tasks

    def catch_up(self) -> None:
        """All is read."""


class Engine:
    """Three frames; `fails` is called at every seam with its name."""

    pin = "pin"
    checkpoints_every_chunk = False

    def __init__(self, fails: Callable[[str], None], start: int) -> None:
        self._fails, self._next = fails, start

    def next(self, timeout_s: float) -> FrameResult | EndOfStream | None:
        self._fails("next")
        if self._next == 1:
            self._fails("second")
        if self._next == 3:
            return EndOfStream("stop", FrameCounts(3))
        frame, self._next = self._next, self._next + 1
        return FrameResult(frame, frame, 3, FrameCounts(frame + 1), 10.0, ())

    def state(self) -> bytes:
        self._fails("state")
        return b"%d" % self._next

    def abandon(self) -> None:
        """Nothing runs elsewhere."""

    def close(self) -> None:
        self._fails("close")


class Recorded(Dispatch):
    """The worker's own, with one place of each kind; notes its steps."""

    def __init__(self, runner: SliceRunner, cancels: Cancellations, store: StoreOutages) -> None:
        super().__init__(
            runner,
            cancels,  # type: ignore[arg-type] # has what is called
            slots=1,
            openings=1,
            project_openings=1,
            sessions=4,
            live_slots=1,
            kept=dict,
            store=store,
            retry_s=0,
        )
        self.steps: list[Step] = []

    async def _attempt(self, places: Places, *others: Any) -> int | None:
        self.steps.append(others[-1])
        return await super()._attempt(places, *others)


class World:
    """One worker over a partition in memory, with a fault at one seam."""

    def __init__(self, seam: str, failure: BaseException, n_failures: int = 10**6) -> None:
        self.seam, self.failure, self.n_left = seam, failure, n_failures
        self.writer, self.cancels = Writer(), Cancellations()
        self.opens: Callable[[Interrupt], None] = lambda _: None
        self.probed: Callable[[], None] = lambda: None
        self.runner = SliceRunner(
            Incarnation("w", 1),
            60.0,
            self,
            self.writer,
            None,  # type: ignore[arg-type] # nobody is suspected here
            self.cancels,  # type: ignore[arg-type] # has what is called
            self,  # type: ignore[arg-type] # the engines
            SessionCache(4),
            stopping=lambda: False,
            now_ms=lambda: 1,
        )
        store = StoreOutages(self.probe, pause_s=0.01, max_pause_s=0.02, look_s=0.005)
        self.dispatch = Recorded(self.runner, self.cancels, store)

    @property
    def steps(self) -> list[Step]:
        return self.dispatch.steps

    @contextmanager
    def lent(self) -> Iterator[LogReader]:
        yield Reader(self.writer)

    def fails(self, seam: str) -> None:
        if seam == self.seam and self.n_left > 0:
            self.n_left -= 1
            raise self.failure

    def resolve(self, name: str, precision: str | None = None) -> tuple[str, str]:
        self.fails("resolve")
        return "CPU", "f32"

    def open(
        self,
        name: str,
        submitted: Submitted,
        precision: str,
        state: Any,
        pin: Any,
        interrupt: Interrupt,
        since: Sequence[Chunk],
        epoch: int,
        last_pts: int | None,
    ) -> Engine:
        self.fails("open")
        self.opens(interrupt)
        if name != "local":
            return Engine(lambda _: None, 0)
        return Engine(self.fails, 0 if state is None else int(state))

    def store_key(self, submitted: Submitted) -> str:
        return submitted.task

    def check_store(self, submitted: Submitted) -> None:
        self.fails("store")

    def probe(self, key: str) -> None:
        """Ask for S3 as who waits for it does."""
        self.probed()
        self.fails("store")

    def abandon(self, name: str, pin: str | None) -> None:
        """Nothing runs elsewhere."""

    async def handle(
        self, message: TaskMessage = SUBMITTED, is_ours: Callable[[], bool] = lambda: True
    ) -> int | None:
        """Do what a worker does with a message; no place is left taken, whatever comes up."""
        try:
            return await self.dispatch.handle(message, is_ours)
        finally:
            assert (self.dispatch.n_working, self.dispatch.n_opening) == (0, 0)
            self.dispatch.close()

    def chunks(self) -> list[Chunk]:
        """Return the chunks of the log, which must be closed."""
        task_state, log = task_state_of(Writer()), b""
        assert task_state.fold.next_off == 0
        for record in Reader(self.writer).read(0, 0, 10**6, ""):
            off = task_state.fold.next_off
            task_state.take(record)
            if task_state.fold.next_off > off:
                log += record.value
        assert task_state.fold.closed
        events = list(parse_events(log))
        assert events[-1].data == DONE
        return [decode_chunk(event.data) for event in events[:-1]]
