"""A real worker on a real Kafka: whole tasks, cancel, sources that are no video."""

import os
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from streamproc.contract.chunk import Chunk
from streamproc.contract.task_spec import Sampling
from tests.brokers import KafkaNode
from tests.terminals import error_of, usage_of
from tests.workers import (
    CLIP,
    FEW,
    WorkerProcess,
    cancel,
    chunks_of,
    make_spec,
    submit,
    timeless,
    workers,
)

SPEC = make_spec(
    f"file://{CLIP}",
    ("detect", "feature"),
    sampling=Sampling("interval", STRIDE := 3),
    parameters={"detect": FEW},
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


def test_every_frame_has_its_chunk(kafka: KafkaNode, worker: WorkerProcess) -> None:
    *frames, terminal = chunks_of(submit(kafka, make_spec(f"file://{CLIP}")).follow())
    n_frames = terminal.stream_info.total_frames
    assert n_frames == 120
    assert [chunk.stream_info.frame_index for chunk in frames] == list(range(n_frames))
    assert usage_of(terminal).processed_frames == n_frames


def test_every_chosen_frame_has_its_chunk_and_the_terminal_its_usage(
    undisturbed: list[Chunk],
) -> None:
    *frames, terminal = undisturbed
    indexes = [chunk.stream_info.frame_index for chunk in frames]
    assert indexes == list(range(0, terminal.stream_info.total_frames or 0, STRIDE))
    assert all(chunk.finish_reason is None for chunk in frames)
    assert terminal.finish_reason == "stop"
    assert usage_of(terminal).processed_frames == len(frames)
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
    busy = [t.id for t in psutil.Process(pid).threads() if t.user_time + t.system_time > 0.02]
    assert len(busy) > 3
    assert {os.sched_getscheduler(thread) for thread in busy} == {os.SCHED_BATCH}


def test_max_frames_ends_the_task_when_there_was_more(
    kafka: KafkaNode, worker: WorkerProcess
) -> None:
    spec = make_spec(f"file://{CLIP}", max_frames=7)
    *frames, terminal = chunks_of(submit(kafka, spec).follow())
    assert len(frames) == 7
    assert terminal.finish_reason == "max_frames"
    assert usage_of(terminal).processed_frames == 7


def test_cancel_ends_the_task_and_keeps_what_was_written(
    kafka: KafkaNode, worker: WorkerProcess
) -> None:
    tail = submit(kafka, SPEC)
    tail.follow(until_length=3000)
    cancel(kafka, tail.submitted.task)
    *frames, terminal = chunks_of(tail.follow())
    assert terminal.finish_reason == "cancelled"
    assert 0 < len(frames) < 120 // STRIDE


def test_cancel_before_pickup_leaves_a_terminal_alone(
    kafka: KafkaNode, worker: WorkerProcess
) -> None:
    task = f"vt_{time.time_ns()}"
    cancel(kafka, task)
    (terminal,) = chunks_of(submit(kafka, SPEC, task).follow())
    assert terminal.finish_reason == "cancelled"
    assert usage_of(terminal).processed_frames == 0


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
    error = error_of(terminal)
    assert error.code.startswith("source_")
    assert code is None or error.code == code
    assert str(directory) not in error.message
    assert worker.process.poll() is None


def test_a_truncated_video_is_processed_as_far_as_it_goes_then_fails(
    kafka: KafkaNode, worker: WorkerProcess, directory: Path
) -> None:
    whole = CLIP.read_bytes()
    path = directory / "cut.mp4"
    path.write_bytes(whole[: len(whole) * 2 // 3])
    spec = make_spec(f"file://{path}", sampling=Sampling("interval", STRIDE))
    *frames, terminal = chunks_of(submit(kafka, spec).follow())
    assert terminal.finish_reason == "error"
    assert len(frames) > 10 or error_of(terminal).code == "source_not_video"


def test_a_worker_that_starts_before_kafka_waits_for_it(engines: None, tmp_path: Path) -> None:
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
