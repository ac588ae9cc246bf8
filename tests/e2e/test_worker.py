"""Real workers on a real Kafka: whole tasks, cancel, failures, kills, zombies, hand-over."""

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from streamproc.contract.chunk import Chunk
from streamproc.contract.records import Claim, WorkerBeat
from tests.brokers import KafkaNode
from tests.workers import (
    CLIP,
    WorkerProcess,
    beat,
    cancel,
    chunks_of,
    claim,
    dead_letters,
    make_spec,
    submit,
    timeless,
    workers,
)

SPEC = make_spec(
    f"file://{CLIP}", ("detect", "feature"), parameters={"detect": {"classes": ["pedestrian"]}}
)


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("workers")


@pytest.fixture(scope="module")
def worker(kafka: KafkaNode, directory: Path) -> Iterator[WorkerProcess]:
    with workers(kafka, directory, "steady") as (one,):
        yield one


@pytest.fixture(scope="module")
def undisturbed(kafka: KafkaNode, worker: WorkerProcess) -> list[Chunk]:
    return chunks_of(submit(kafka, SPEC).follow())


@pytest.fixture
def alone(worker: WorkerProcess, undisturbed: list[Chunk]) -> None:
    """The steady worker has gone: a test starts its own. Such tests come last."""
    worker.stop()


def test_every_frame_has_its_chunk_and_the_terminal_its_usage(undisturbed: list[Chunk]) -> None:
    *frames, terminal = undisturbed
    n_frames = terminal.stream_info.total_frames
    assert [chunk.stream_info.frame_index for chunk in frames] == list(range(n_frames or 0))
    assert all(chunk.finish_reason is None for chunk in frames)
    assert terminal.finish_reason == "stop"
    assert terminal.usage.processed_frames == n_frames  # type: ignore[union-attr]
    assert frames[0].provider == "local"
    assert {t.class_name for c in frames for t in c.delta.results[0].targets} == {"pedestrian"}
    assert all(t.feature_digest for t in frames[-1].delta.results[0].targets)


def test_a_second_run_says_the_same(
    kafka: KafkaNode, worker: WorkerProcess, undisturbed: list[Chunk]
) -> None:
    assert timeless(chunks_of(submit(kafka, SPEC).follow())) == timeless(undisturbed)


def test_no_thread_that_works_interrupts_another(
    worker: WorkerProcess, undisturbed: list[Chunk]
) -> None:
    """Those of a network are made late; numpy's own, made on import, have nothing to do."""
    pid = worker.process.pid
    busy = [t.id for t in psutil.Process(pid).threads() if t.user_time + t.system_time > 0.1]
    assert len(busy) > 3
    assert {os.sched_getscheduler(thread) for thread in busy} == {os.SCHED_BATCH}


def test_max_frames_ends_the_task_when_there_was_more(
    kafka: KafkaNode, worker: WorkerProcess
) -> None:
    spec = make_spec(f"file://{CLIP}", max_frames=7)
    *frames, terminal = chunks_of(submit(kafka, spec).follow())
    assert len(frames) == 7
    assert terminal.finish_reason == "max_frames"
    assert terminal.usage.processed_frames == 7  # type: ignore[union-attr]


def test_cancel_ends_the_task_and_keeps_what_was_written(
    kafka: KafkaNode, worker: WorkerProcess
) -> None:
    tail = submit(kafka, SPEC)
    tail.follow(until_length=3000)
    cancel(kafka, tail.submitted.task)
    *frames, terminal = chunks_of(tail.follow())
    assert terminal.finish_reason == "cancelled"
    assert 0 < len(frames) < 90


def test_cancel_before_pickup_leaves_a_terminal_alone(
    kafka: KafkaNode, worker: WorkerProcess
) -> None:
    task = f"vt_{time.time_ns()}"
    cancel(kafka, task)
    (terminal,) = chunks_of(submit(kafka, SPEC, task).follow())
    assert terminal.finish_reason == "cancelled"
    assert terminal.usage.processed_frames == 0  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("name", "content", "code"),
    [
        ("page.mp4", b"<!doctype html><html>no video</html>" * 50, "source_not_video"),
        ("empty.mp4", b"", None),
        ("missing.mp4", None, None),
    ],
)
def test_what_is_no_video_fails_with_its_code_and_the_worker_goes_on(
    kafka: KafkaNode,
    worker: WorkerProcess,
    directory: Path,
    name: str,
    content: bytes | None,
    code: str | None,
) -> None:
    path = directory / name
    if content is not None:
        path.write_bytes(content)
    (terminal,) = chunks_of(submit(kafka, make_spec(f"file://{path}")).follow())
    assert terminal.finish_reason == "error"
    error = terminal.error
    assert error.code.startswith("source_")  # type: ignore[union-attr]
    assert code is None or error.code == code  # type: ignore[union-attr]
    assert str(directory) not in error.message  # type: ignore[union-attr]
    assert worker.process.poll() is None


def test_a_truncated_video_is_processed_as_far_as_it_goes_then_fails(
    kafka: KafkaNode, worker: WorkerProcess, directory: Path
) -> None:
    whole = CLIP.read_bytes()
    path = directory / "cut.mp4"
    path.write_bytes(whole[: len(whole) * 2 // 3])
    *frames, terminal = chunks_of(submit(kafka, make_spec(f"file://{path}")).follow())
    assert terminal.finish_reason == "error"
    assert len(frames) > 10 or terminal.error.code == "source_not_video"  # type: ignore[union-attr]


def test_a_killed_workers_task_goes_on_with_the_same_tracks(
    kafka: KafkaNode, alone: None, directory: Path, undisturbed: list[Chunk]
) -> None:
    with workers(kafka, directory, "first", "second") as (first, second):
        by_name = {"first": first, "second": second}
        tail = submit(kafka, SPEC)
        tail.follow(until_length=20_000)
        killed = by_name.pop(tail.claims[-1][1].worker)
        killed.send(signal.SIGKILL)
        log = tail.follow()
        assert timeless(chunks_of(log)) == timeless(undisturbed)
        (survivor,) = by_name
        assert tail.claims[-1][1].worker == survivor


def test_a_stopped_worker_that_wakes_up_late_changes_nothing(
    kafka: KafkaNode, alone: None, directory: Path, undisturbed: list[Chunk]
) -> None:
    with workers(kafka, directory, "third", "fourth") as (third, fourth):
        by_name = {"third": third, "fourth": fourth}
        tail = submit(kafka, SPEC)
        tail.follow(until_length=20_000)
        zombie = by_name[tail.claims[-1][1].worker]
        zombie.send(signal.SIGSTOP)
        n_claims = len(tail.claims)
        while len(tail.claims) == n_claims:
            tail.follow(until_length=len(tail.log) + 1)
        zombie.send(signal.SIGCONT)
        assert timeless(chunks_of(tail.follow())) == timeless(undisturbed)


def test_a_terminated_worker_hands_over_within_a_slice(
    kafka: KafkaNode, alone: None, directory: Path, undisturbed: list[Chunk]
) -> None:
    with workers(kafka, directory, "fifth", "sixth") as (fifth, sixth):
        by_name = {"fifth": fifth, "sixth": sixth}
        tail = submit(kafka, SPEC)
        tail.follow(until_length=20_000)
        leaving = by_name[tail.claims[-1][1].worker]
        leaving.send(signal.SIGTERM)
        assert timeless(chunks_of(tail.follow())) == timeless(undisturbed)
        assert leaving.process.wait(20) == 0
        assert tail.claims[-1][1].worker != leaving.name


def test_a_task_that_takes_its_worker_down_three_times_is_buried_and_its_neighbour_finishes(
    kafka: KafkaNode, alone: None, directory: Path, undisturbed: list[Chunk]
) -> None:
    poison = submit(kafka, SPEC)
    neighbour = submit(kafka, SPEC)
    for n_crashes in range(3):
        with workers(kafka, directory, f"doomed-{n_crashes}", FRAMEWIRE_SLICE_S="60") as (doomed,):
            poison.follow(until_claims=len(poison.claims) + 1)
            doomed.send(signal.SIGKILL)
    with workers(kafka, directory, "gravedigger"):
        *_, terminal = chunks_of(poison.follow())
        assert terminal.finish_reason == "error"
        assert terminal.error.code == "worker_crash"  # type: ignore[union-attr]
        assert timeless(chunks_of(neighbour.follow())) == timeless(undisturbed)
    assert poison.submitted.task in dead_letters(kafka)


@pytest.mark.parametrize(("n_lost", "together"), [(1, True), (2, False)])
def test_tasks_whose_worker_died_go_on_together_until_they_lose_another(
    kafka: KafkaNode,
    alone: None,
    directory: Path,
    undisturbed: list[Chunk],
    n_lost: int,
    together: bool,
) -> None:
    tails = [submit(kafka, SPEC), submit(kafka, SPEC)]
    for tail in tails:
        for number in range(n_lost):
            claim(kafka, tail.submitted, Claim(f"lost-{number}", 0, "local", "", "", life=1))
    with workers(kafka, directory, f"taker-of-{n_lost}", FRAMEWIRE_SLICE_S="60"):
        for tail in tails:
            assert timeless(chunks_of(tail.follow())) == timeless(undisturbed)
    last_claim_ms = max(tail.claims[-1][0] for tail in tails)
    first_end_ms = min(tail.written_ms[-1] for tail in tails)
    assert (last_claim_ms < first_end_ms) == together


def test_a_slice_that_three_living_workers_lost_is_nobodys_crash(
    kafka: KafkaNode, alone: None, directory: Path, undisturbed: list[Chunk]
) -> None:
    """As when partitions wander while Kafka comes back: all claimed, none wrote, none died."""
    tail = submit(kafka, SPEC)
    for number in range(3):
        lost = Claim(f"lost-{number}", 0, "local", "", "", life=1)
        claim(kafka, tail.submitted, lost)
        later_ms = (time.time_ns() // 1_000_000) + 600_000
        beat(kafka, WorkerBeat(lost.worker, "h", 1, 1, later_ms, "CPU", "f32", (), 1, 0, 0.0, 0))
    with workers(kafka, directory, "taker"):
        assert timeless(chunks_of(tail.follow())) == timeless(undisturbed)
    assert tail.submitted.task not in dead_letters(kafka)


def test_a_worker_that_starts_before_kafka_waits_for_it(tmp_path: Path) -> None:
    node = KafkaNode(tmp_path / "kafka")
    early = WorkerProcess(node, tmp_path, "early")
    try:
        deadline_s = time.monotonic() + 60
        while "waits for Kafka" not in early.log.read_text():
            assert time.monotonic() < deadline_s
            assert early.process.poll() is None
            time.sleep(0.1)
        node.start()
        early.wait_ready()
        assert "Traceback" not in early.log.read_text()
    finally:
        early.stop()
        node.stop()
