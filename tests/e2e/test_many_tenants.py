"""One real worker and a backlog of long tasks: who else comes does not wait behind it."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from streamproc.contract import env
from tests.brokers import KafkaNode
from tests.data.clips import looped_clip
from tests.workers import CLIP, LogTail, WorkerProcess, cancel, chunks_of, make_spec, submit

N_LONG, N_SLOTS = 6, 2
SETTINGS = {env.SLOTS: str(N_SLOTS), env.SESSIONS: "4", env.SLICE_S: "30"}


@pytest.fixture
def backlog(kafka: KafkaNode, tmp_path: Path) -> Iterator[list[LogTail]]:
    """Tasks of minutes in one partition, two of them under way in slices of half a minute."""
    spec = make_spec(looped_clip(tmp_path / "long.mp4", 10).as_uri())
    worker = WorkerProcess(kafka, tmp_path, "shared", "tests.e2e.slow_device", **SETTINGS)
    tails: list[LogTail] = []
    try:
        worker.wait_ready()
        for n_tasks in (N_SLOTS, N_LONG - N_SLOTS):  # else any of them may have the slots
            tails += [submit(kafka, spec, project="a", partition=0) for _ in range(n_tasks)]
            for tail in tails[:N_SLOTS]:
                tail.follow(until_length=1)
        yield tails
    finally:
        worker.stop()
        for tail in tails:
            tail.close()


def test_a_newcomer_waits_neither_for_the_backlog_nor_for_a_slices_end(
    kafka: KafkaNode, backlog: list[LogTail]
) -> None:
    short = make_spec(CLIP.as_uri(), max_frames=2)
    newcomer = submit(kafka, short, project="b", partition=0)
    try:
        assert len(chunks_of(newcomer.follow(timeout_s=20))) == 3
    finally:
        newcomer.close()

    # What has not begun is cancelled without a turn, and who gave way is not over.
    cancel(kafka, backlog[-1].submitted.task)
    (terminal,) = chunks_of(backlog[-1].follow(timeout_s=20))
    assert terminal.finish_reason == "cancelled"
    assert not any(tail.fold.closed for tail in backlog[:N_SLOTS])
