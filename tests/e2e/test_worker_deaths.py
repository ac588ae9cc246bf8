"""Real workers die, freeze, leave and are lost: their tasks go on with the same tracks."""

import signal
import time
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path

import msgspec
import pytest

from console.client.log_stream import EventSplitter
from streamproc.contract import env
from streamproc.contract.chunk import Chunk, Target
from streamproc.contract.framing import frame_event, parse_events
from streamproc.contract.records import Claim, WorkerBeat
from streamproc.contract.task_spec import Sampling
from streamproc.sinks.index.task import summarise
from tests.brokers import KafkaNode
from tests.streamproc.sinks.logs import task_id
from tests.terminals import error_of
from tests.workers import (
    CLIP,
    FEW,
    LogTail,
    WorkerProcess,
    beat,
    chunks_of,
    claim,
    dead_letters,
    make_spec,
    send,
    submission,
    submit,
    timeless,
)

SPEC = make_spec(
    f"file://{CLIP}",
    ("detect", "feature"),
    sampling=Sampling("interval", 3),
    parameters={"detect": FEW},
)
SOME_BYTES = 6_000
LONG_SLICES = {env.SLICE_S: "60"}
"""A task is done in one slice: nothing of it is handed over."""


class Crew:
    """The module's workers. A test asks for as many as it needs, and may do to them what it likes.

    Those that are still at work serve the next test, too: a worker takes seconds to start.
    """

    def __init__(self, kafka: KafkaNode, directory: Path) -> None:
        self._kafka, self._directory = kafka, directory
        self._numbers = count()
        self._settings: dict[str, str] = {}
        self._workers: list[WorkerProcess] = []

    def of(self, n_workers: int, settings: dict[str, str] | None = None) -> list[WorkerProcess]:
        """Return just so many workers that are ready, all with these settings."""
        if (settings or {}) != self._settings:
            self.dismiss()
            self._settings = settings or {}
        self._workers = [one for one in self._workers if one.process.poll() is None]
        while len(self._workers) > n_workers:
            self._workers.pop().stop()
        for _ in range(n_workers - len(self._workers)):
            name = f"worker-{next(self._numbers)}"
            self._workers.append(
                WorkerProcess(self._kafka, self._directory, name, **self._settings)
            )
        for one in self._workers:
            one.wait_ready()
        return self._workers

    def dismiss(self) -> None:
        for one in self._workers:
            one.stop()
        self._workers = []


@pytest.fixture(scope="module")
def crew(kafka: KafkaNode, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Crew]:
    crew = Crew(kafka, tmp_path_factory.mktemp("workers"))
    yield crew
    crew.dismiss()


@pytest.fixture(scope="module")
def undisturbed(kafka: KafkaNode, crew: Crew) -> list[Chunk]:
    crew.of(2)
    chunks = chunks_of(submit(kafka, SPEC).follow())
    assert len({t.track_id for chunk in chunks for t in targets_of(chunk)}) > 3
    return chunks


@pytest.fixture
def begun(kafka: KafkaNode, undisturbed: list[Chunk], crew: Crew) -> Callable[[], LogTail]:
    """Submit a task and wait until some of its log is there."""

    def begin() -> LogTail:
        tail = submit(kafka, SPEC)
        tail.follow(until_length=SOME_BYTES)
        assert not tail.fold.closed
        return tail

    return begin


def targets_of(chunk: Chunk) -> list[Target]:
    return [target for result in chunk.delta.results for target in result.targets]


def who_works_on(tail: LogTail, workers: list[WorkerProcess]) -> WorkerProcess:
    return next(one for one in workers if one.name == tail.claims[-1][1].worker)


def test_a_killed_workers_task_goes_on_with_the_same_tracks(
    begun: Callable[[], LogTail], crew: Crew, undisturbed: list[Chunk]
) -> None:
    workers = crew.of(2)
    tail = begun()
    killed = who_works_on(tail, workers)
    killed.send(signal.SIGKILL)
    assert timeless(chunks_of(tail.follow())) == timeless(undisturbed)
    assert tail.claims[-1][1].worker != killed.name


def test_a_task_that_an_earlier_versions_worker_began_goes_on_in_one_log(
    kafka: KafkaNode, tmp_path: Path, crew: Crew, undisturbed: list[Chunk]
) -> None:
    """Its bytes stay as they are; what follows has the order of today."""
    crew.dismiss()
    earlier = WorkerProcess(kafka, tmp_path, "earlier", "tests.id_first")
    earlier.wait_ready()
    try:
        tail = submit(kafka, SPEC)
        begun = tail.follow(until_length=SOME_BYTES)
        assert not tail.fold.closed
    finally:
        earlier.stop()
    crew.of(1)
    log = tail.follow()
    assert log.startswith(begun)
    orders = [log[event.start : event.start + 2] for event in parse_events(log)]
    n_earlier = orders.count(b"id")
    assert orders == [b"id"] * n_earlier + [b"da"] * (len(orders) - n_earlier)
    assert len(list(parse_events(begun))) <= n_earlier < len(orders) - 2
    assert timeless(chunks_of(log)) == timeless(undisturbed)
    assert EventSplitter(0).feed(log) == tuple(parse_events(log))
    tracks = summarise("p", task_id(1), log)
    assert tracks
    assert tracks == summarise("p", task_id(1), b"".join(reframed(log)))


def reframed(log: bytes) -> Iterator[bytes]:
    return (frame_event(event.data, event.start) for event in parse_events(log))


def test_a_stopped_worker_that_wakes_up_late_changes_nothing(
    begun: Callable[[], LogTail], crew: Crew, undisturbed: list[Chunk]
) -> None:
    workers = crew.of(2)
    tail = begun()
    zombie = who_works_on(tail, workers)
    zombie.send(signal.SIGSTOP)
    try:
        tail.follow(until_claims=len(tail.claims) + 1)
        tail.follow(until_length=len(tail.log) + 1)
        assert tail.claims[-1][1].worker != zombie.name
    finally:
        zombie.send(signal.SIGCONT)
    assert timeless(chunks_of(tail.follow())) == timeless(undisturbed)


def test_a_terminated_worker_hands_over_within_a_slice(
    begun: Callable[[], LogTail], crew: Crew, undisturbed: list[Chunk]
) -> None:
    workers = crew.of(2)
    tail = begun()
    leaving = who_works_on(tail, workers)
    leaving.send(signal.SIGTERM)
    assert timeless(chunks_of(tail.follow())) == timeless(undisturbed)
    assert leaving.process.wait(20) == 0
    assert tail.claims[-1][1].worker != leaving.name


def lost(number: int) -> Claim:
    """Return the claim of a worker that was never seen again."""
    return Claim(f"lost-{number}", 0, "local", "", "", life=1)


def test_a_task_that_takes_down_three_workers_alone_is_buried_and_its_neighbour_finishes(
    kafka: KafkaNode, crew: Crew, undisturbed: list[Chunk]
) -> None:
    crew.dismiss()
    submissions = [submission(kafka, SPEC), submission(kafka, SPEC)]
    for submitted in submissions:  # both were in the two workers that were lost before
        for number in range(2):
            claim(kafka, submitted, lost(number))
    poison, neighbour = (send(kafka, submitted) for submitted in submissions)
    poison.follow(until_claims=2)
    for _ in range(3):
        (doomed,) = crew.of(1, LONG_SLICES)
        poison.follow(until_claims=len(poison.claims) + 1)
        doomed.send(signal.SIGKILL)
        doomed.process.wait()
    crew.of(1, LONG_SLICES)
    *_, terminal = chunks_of(poison.follow())
    assert terminal.finish_reason == "error"
    assert error_of(terminal).code == "worker_crash"
    assert timeless(chunks_of(neighbour.follow())) == timeless(undisturbed)
    assert poison.submitted.task in dead_letters(kafka)


@pytest.mark.parametrize(("n_lost", "together"), [(1, True), (2, False)])
def test_tasks_whose_worker_died_go_on_together_until_they_lose_another(
    kafka: KafkaNode, crew: Crew, undisturbed: list[Chunk], n_lost: int, together: bool
) -> None:
    submissions = [submission(kafka, SPEC), submission(kafka, SPEC)]
    for submitted in submissions:
        for number in range(n_lost):
            claim(kafka, submitted, lost(number))
    crew.of(1, LONG_SLICES)
    tails = [send(kafka, submitted) for submitted in submissions]
    for tail in tails:
        assert timeless(chunks_of(tail.follow())) == timeless(undisturbed)
    last_claim_ms = max(tail.claims[-1][0] for tail in tails)
    first_end_ms = min(tail.written_ms[-1] for tail in tails)
    assert (last_claim_ms < first_end_ms) == together


def test_a_slice_that_three_living_workers_lost_is_nobodys_crash(
    kafka: KafkaNode, crew: Crew, undisturbed: list[Chunk]
) -> None:
    """As when partitions wander while Kafka comes back: all claimed, none wrote, none died."""
    submitted = submission(kafka, SPEC)
    for number in range(3):
        living = msgspec.structs.replace(lost(number), worker=f"living-{number}", alone=True)
        claim(kafka, submitted, living)
        later_ms = (time.time_ns() // 1_000_000) + 600_000
        beat(kafka, WorkerBeat(living.worker, "h", 1, 1, later_ms, "CPU", "f32", (), 1, 0, 0.0, 0))
    crew.of(1, LONG_SLICES)
    tail = send(kafka, submitted)
    assert timeless(chunks_of(tail.follow())) == timeless(undisturbed)
    assert submitted.task not in dead_letters(kafka)


def test_any_number_of_workers_that_were_lost_with_others_beside_end_no_task(
    kafka: KafkaNode, crew: Crew, undisturbed: list[Chunk]
) -> None:
    submitted = submission(kafka, SPEC)
    for number in range(6):
        claim(kafka, submitted, msgspec.structs.replace(lost(number), alone=number >= 4))
    crew.of(1, LONG_SLICES)
    tail = send(kafka, submitted)
    assert timeless(chunks_of(tail.follow())) == timeless(undisturbed)
    assert tail.claims[-1][1].alone
    assert submitted.task not in dead_letters(kafka)
