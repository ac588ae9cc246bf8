"""Real worker processes for tests, tasks for them, and the log they write."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec
from confluent_kafka import Consumer, Producer, TopicPartition

from models.parameters import validate_parameters
from models.registry import Registry
from streamproc.contract import env
from streamproc.contract.chunk import Chunk, decode_chunk
from streamproc.contract.fold import Fold, Verdict, step
from streamproc.contract.framing import DONE, parse_events
from streamproc.contract.records import (
    CancelRequested,
    ChunkRecord,
    Claim,
    DeadLetter,
    FoldPoint,
    Header,
    Submitted,
    WorkerBeat,
    encode_task_message,
    read_chunk_record,
)
from streamproc.contract.task_spec import Sampling, SourceRef, Step, TaskSpec, When
from streamproc.contract.topics import CHUNKS, CONTROL, DLQ, WORKERS, partition_of
from tests.brokers import N_PARTITIONS, KafkaNode
from tests.forked import ForkedProcess, fork_program
from tests.ports import die_with_parent

CLIP = Path(__file__).parents[1] / "console" / "data" / "pedestrians.mp4"
EVERY_FRAME = Sampling("interval", 1)
FEW = {"classes": ["pedestrian"], "max_targets": 4}
"""Parameters of `detect`. A `feature` of each weak candidate takes two thirds of a task's time."""
_START_S = 60.0
_NEW_INTERPRETER = ("tests.id_first",)
"""They change what the modules of a role take from each other when they are loaded."""


class WorkerProcess:
    """One worker, forked (`tests.forked`); `module` is another one with a `main`."""

    def __init__(
        self,
        kafka: KafkaNode,
        directory: Path,
        name: str,
        module: str = "streamproc.__main__",
        **settings: str,
    ) -> None:
        self.name = name
        self._ready = directory / f"{name}.ready"
        self.log = directory / f"{name}.log"
        self._environ = {
            **os.environ,
            **kafka.environ,
            env.WORKER_ID: name,
            env.READY_FILE: str(self._ready),
            env.FILE_ROOTS: os.pathsep.join(["/", str(directory)]),
            env.SLICE_S: "0.5",
            env.SESSION_TIMEOUT_S: "3",
            env.S3_ENDPOINT: "http://127.0.0.1:9",
            env.S3_KEY: "test",
            env.S3_SECRET: "test",
            **settings,
        }
        if module not in _NEW_INTERPRETER:
            self.process: ForkedProcess | subprocess.Popen[bytes] = fork_program(
                module, ["worker"], self._environ, self.log
            )
            return
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", module, "worker"],
                env=self._environ,
                stdout=log,
                stderr=log,
                preexec_fn=die_with_parent,  # noqa: PLW1509 - tests start no threads before
            )

    def wait_ready(self) -> None:
        deadline = time.monotonic() + _START_S
        while not self._ready.exists():
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise AssertionError(f"worker did not start:\n{self.log.read_text()[-3000:]}")
            time.sleep(0.05)

    def send(self, signum: int) -> None:
        self.process.send_signal(signum)

    def stop(self) -> None:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGCONT)
            self.process.kill()
        self.process.wait()


@contextmanager
def workers(
    kafka: KafkaNode,
    directory: Path,
    *names: str,
    module: str = "streamproc.__main__",
    **settings: str,
) -> Iterator[list[WorkerProcess]]:
    started = [WorkerProcess(kafka, directory, name, module, **settings) for name in names]
    try:
        for worker in started:
            worker.wait_ready()
        yield started
    finally:
        for worker in started:
            worker.stop()


def make_spec(
    url: str,
    kinds: Sequence[str] = ("detect",),
    *,
    sampling: Sampling = EVERY_FRAME,
    when: When | None = None,
    parameters: dict[str, dict[str, Any]] | None = None,
    **more: Any,
) -> TaskSpec:
    """Return the spec of a task; `parameters` by kind of step."""
    registry = Registry(None)
    steps = []
    for kind in kinds:
        manifest = registry.resolve(kind)
        assert manifest.kind != "text-encoder"
        given = (parameters or {}).get(kind, {})
        steps.append(
            Step(
                manifest.kind,
                manifest.ref,
                validate_parameters(manifest, given),
                when if kind != "detect" else None,
            )
        )
    return TaskSpec(SourceRef(url=url), tuple(steps), sampling, **more)


class LogTail:
    """Follows one task's log in Kafka, folding as every reader does."""

    def __init__(self, kafka: KafkaNode, submitted: Submitted) -> None:
        self.submitted = submitted
        self.fold = Fold.at(submitted.point)
        self.log = b""
        self.claims: list[tuple[int, Claim]] = []
        """With their Unix milliseconds, as in `written_ms` of what was accepted."""
        self.verdicts: list[Verdict] = []
        self.written_ms: list[int] = []
        self._consumer = Consumer(
            {
                "bootstrap.servers": kafka.bootstrap,
                "group.id": "test-tail",
                "enable.auto.commit": False,
            }
        )
        place = TopicPartition(CHUNKS, submitted.partition, submitted.point.position)
        self._consumer.assign([place])

    def follow(
        self,
        *,
        until_length: int | None = None,
        until_claims: int | None = None,
        timeout_s: float = 60.0,
    ) -> bytes:
        """Read on until the log is closed, or has so many bytes, or so many claims were seen."""
        deadline = time.monotonic() + timeout_s
        while (
            not self.fold.closed
            and (until_length is None or len(self.log) < until_length)
            and (until_claims is None or len(self.claims) < until_claims)
        ):
            if time.monotonic() > deadline:
                raise AssertionError(f"the log stands at {len(self.log)} after {timeout_s:g} s")
            message = self._consumer.poll(0.1)
            if message is None or message.key() != self.submitted.task.encode():
                continue
            record = read_chunk_record(
                key=message.key(),
                value=message.value(),
                headers=message.headers(),
                position=message.offset() or 0,
                time_ms=message.timestamp()[1],
            )
            self.fold, verdict = step(self.fold, record)
            self.verdicts.append(verdict)
            assert verdict is not Verdict.GAP
            if verdict is Verdict.CLAIMED:
                claim = msgspec.msgpack.decode(record.value, type=Claim)
                self.claims.append((record.time_ms, claim))
            elif verdict is Verdict.ACCEPTED:
                self.log += record.value
                self.written_ms.append(record.time_ms)
        return self.log

    def close(self) -> None:
        self._consumer.close()


def submit(
    kafka: KafkaNode,
    spec: TaskSpec,
    task: str | None = None,
    project: str = "p",
    partition: int | None = None,
) -> LogTail:
    """Produce `Submitted` and return the tail of the task's log."""
    return send(kafka, submission(kafka, spec, task, project, partition))


def submission(
    kafka: KafkaNode,
    spec: TaskSpec,
    task: str | None = None,
    project: str = "p",
    partition: int | None = None,
) -> Submitted:
    """Return the message of a task whose log begins at the present end of its partition."""
    task = task or f"vt_{time.time_ns()}"
    if partition is None:
        partition = partition_of(task.encode(), N_PARTITIONS)
    probe = Consumer({"bootstrap.servers": kafka.bootstrap, "group.id": "test-probe"})
    _, high = probe.get_watermark_offsets(TopicPartition(CHUNKS, partition), timeout=10)
    probe.close()
    return Submitted(task, project, partition, 1, spec, FoldPoint(high))


def send(kafka: KafkaNode, submitted: Submitted) -> LogTail:
    """Produce the message and return the tail of the task's log."""
    message = encode_task_message(submitted)
    _produce(kafka, submitted.topic, submitted.task, message, submitted.partition)
    return LogTail(kafka, submitted)


def claim(kafka: KafkaNode, submitted: Submitted, claim: Claim) -> None:
    """Claim a task's beginning in a worker's name."""
    record = ChunkRecord(
        task=submitted.task,
        project=submitted.project,
        kind="claim",
        epoch=-1,
        seq=0,
        off=0,
        frame=-1,
        pts=-1,
        value=msgspec.msgpack.encode(claim),
    )
    _produce(
        kafka, CHUNKS, submitted.task, record.value, submitted.partition, headers=record.headers()
    )


def beat(kafka: KafkaNode, beat: WorkerBeat) -> None:
    _produce(kafka, WORKERS, beat.worker, msgspec.msgpack.encode(beat), 0)


def cancel(kafka: KafkaNode, task: str) -> None:
    _produce(kafka, CONTROL, task, msgspec.msgpack.encode(CancelRequested(task, "p", 1)), 0)


def dead_letters(kafka: KafkaNode) -> dict[str, DeadLetter]:
    """Return what is in video.dlq by task."""
    consumer = Consumer({"bootstrap.servers": kafka.bootstrap, "group.id": "test-dlq"})
    place = TopicPartition(DLQ, 0, 0)
    _, high = consumer.get_watermark_offsets(place, timeout=10)
    consumer.assign([place])
    found: dict[str, DeadLetter] = {}
    position = 0
    while position < high:
        message = consumer.poll(10)
        assert message is not None
        position = (message.offset() or 0) + 1
        letter = msgspec.msgpack.decode(message.value() or b"", type=DeadLetter)
        found[letter.task] = letter
    consumer.close()
    return found


def chunks_of(log: bytes) -> list[Chunk]:
    """Return all chunks of a closed log, the terminal last; checks the `[DONE]`."""
    events = list(parse_events(log))
    assert events[-1].data == DONE
    assert events[-1].end == len(log)
    return [decode_chunk(event.data) for event in events[:-1]]


def timeless(chunks: Sequence[Chunk]) -> list[dict[str, Any]]:
    """Return the chunks without what depends on the wall clock or the task's name."""
    out = []
    for chunk in chunks:
        plain: dict[str, Any] = msgspec.to_builtins(chunk)
        plain.pop("id")
        plain["stream_info"].pop("elapsed_ms")
        plain.get("usage", {}).pop("processing_time_ms", None)
        out.append(plain)
    return out


def _produce(
    kafka: KafkaNode,
    topic: str,
    key: str,
    value: bytes,
    partition: int,
    *,
    headers: Sequence[Header] = (),
) -> None:
    producer = Producer({"bootstrap.servers": kafka.bootstrap, "acks": "all"})
    producer.produce(topic, key=key.encode(), value=value, partition=partition, headers=[*headers])
    assert producer.flush(10) == 0
