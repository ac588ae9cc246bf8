"""A device that computes wrongly computes nothing more; its tasks go on elsewhere."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
import pytest
from confluent_kafka import Consumer, TopicPartition

from streamproc.contract.records import WorkerBeat
from streamproc.contract.task_spec import Sampling
from streamproc.contract.topics import WORKERS
from streamproc.worker.process import EXIT_DEVICE
from tests.brokers import KafkaNode
from tests.e2e.faulty_device import FAULT_VARIABLE
from tests.workers import (
    CLIP,
    EVERY_FRAME,
    FEW,
    WorkerProcess,
    chunks_of,
    make_spec,
    submit,
    timeless,
    workers,
)

SPEC = make_spec(f"file://{CLIP}", sampling=Sampling("interval", 4))
N_FRAMES = 60
SLOW_SPEC = make_spec(
    f"file://{CLIP}",
    ("detect", "feature"),
    sampling=EVERY_FRAME,
    parameters={"detect": FEW | {"max_targets": 1}},
    max_frames=N_FRAMES,
)
"""Takes a slow device long enough to fail meanwhile."""
SOME_BYTES = 6_000
_WITHIN_S = 100.0


class Faulty:
    """A worker with a device that fails as `fault` says (see `tests.e2e.faulty_device`)."""

    def __init__(self, kafka: KafkaNode, directory: Path, name: str) -> None:
        self._kafka = kafka
        self._file = directory / f"{name}.fault"
        self.worker = WorkerProcess(
            kafka,
            directory,
            name,
            module="tests.e2e.faulty_device",
            **{FAULT_VARIABLE: str(self._file)},
        )

    def fault(self, kind: str) -> None:
        whole = self._file.with_suffix(".new")
        whole.write_text(kind)
        whole.rename(self._file)

    def mend(self) -> None:
        self._file.unlink()

    def wait_for_beat(self, wanted: Callable[[WorkerBeat], bool]) -> WorkerBeat:
        """Return the first heartbeat of this worker that is as wanted."""
        consumer = Consumer(
            {"bootstrap.servers": self._kafka.bootstrap, "group.id": f"test-{self.worker.name}"}
        )
        consumer.assign([TopicPartition(WORKERS, 0, 0)])
        deadline_s = time.monotonic() + _WITHIN_S
        try:
            while time.monotonic() < deadline_s:
                message = consumer.poll(0.2)
                if message is None or message.key() != self.worker.name.encode():
                    continue
                beat = msgspec.msgpack.decode(message.value() or b"", type=WorkerBeat)
                if wanted(beat):
                    return beat
        finally:
            consumer.close()
        raise AssertionError(self.worker.log.read_text()[-3000:])


@contextmanager
def faulty(
    kafka: KafkaNode, directory: Path, name: str, kind: str | None = None
) -> Iterator[Faulty]:
    if kind is not None:
        (directory / f"{name}.fault").write_text(kind)
    one = Faulty(kafka, directory, name)
    try:
        one.worker.wait_ready()
        yield one
    finally:
        one.worker.stop()


def test_a_worker_whose_device_is_faulty_from_the_start_takes_no_task_until_it_is_right(
    kafka: KafkaNode, tmp_path: Path
) -> None:
    with faulty(kafka, tmp_path, "wrong-from-start", "zero") as one:
        beat = one.wait_for_beat(lambda beat: beat.device_fault is not None)
        assert "nanodet-g" in (beat.device_fault or "")
        assert beat.partitions == ()
        tail = submit(kafka, SPEC)
        with workers(kafka, tmp_path, "right"):
            tail.follow(timeout_s=_WITHIN_S)
        assert [claim.worker for _, claim in tail.claims] == ["right"] * len(tail.claims)
        chunks = chunks_of(tail.log)
        assert any(result.targets for chunk in chunks for result in chunk.delta.results)
        one.mend()
        one.wait_for_beat(lambda beat: beat.device_fault is None and bool(beat.partitions))
        later = submit(kafka, SPEC)
        later.follow(timeout_s=_WITHIN_S)
        assert timeless(chunks_of(later.log)) == timeless(chunks)
        assert {claim.worker for _, claim in later.claims} == {"wrong-from-start"}


@pytest.mark.parametrize("kind", ["zero", "hang"])
def test_tasks_of_a_device_that_fails_go_on_elsewhere_in_the_same_precision(
    kafka: KafkaNode, tmp_path: Path, kind: str
) -> None:
    name = f"fails-{kind}"
    with faulty(kafka, tmp_path, name) as one:
        tail = submit(kafka, SLOW_SPEC)
        tail.follow(until_length=SOME_BYTES, timeout_s=_WITHIN_S)
        one.fault(kind)
        assert one.wait_for_beat(lambda beat: beat.device_fault is not None)
        assert one.worker.process.wait(_WITHIN_S) == (EXIT_DEVICE if kind == "hang" else 0)
        assert not tail.fold.closed
        with workers(kafka, tmp_path, f"right-{kind}"):
            tail.follow(timeout_s=_WITHIN_S)
    names = [claim.worker for _, claim in tail.claims]
    assert names == sorted(names, key=[name, f"right-{kind}"].index)
    assert names[-1] == f"right-{kind}"
    assert len({claim.precision for _, claim in tail.claims}) == 1
    frames = [chunk.stream_info.frame_index for chunk in chunks_of(tail.log)[:-1]]
    assert frames == list(range(N_FRAMES)), "none is missing and none comes twice"
    assert chunks_of(tail.log)[-1].finish_reason == "max_frames"
