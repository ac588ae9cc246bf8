"""Origins that send a byte now and then: they hold up nobody, and end when they are told to."""

import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from streamproc.contract import env
from tests.brokers import KafkaNode
from tests.streamproc.source.raw_origin import Exchange, RawOrigin, raw_origin
from tests.workers import CLIP, LogTail, WorkerProcess, cancel, chunks_of, make_spec, submit

N_SLOW = 24
LARGE = 10**6
OPENINGS_OF_A_PROJECT = 4


class SlowOrigin:
    """Drips until it is told to serve the clip."""

    def __init__(self) -> None:
        self.serves = threading.Event()
        self.body = CLIP.read_bytes()

    def __call__(self, exchange: Exchange) -> None:
        n_bytes = len(self.body) if self.serves.is_set() else LARGE
        exchange.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % n_bytes)
        if self.serves.is_set():
            exchange.send(self.body)
        else:
            exchange.drip(b"\0" * LARGE, 1.0)


@pytest.fixture
def slow() -> Iterator[tuple[RawOrigin, SlowOrigin]]:
    behave = SlowOrigin()
    with raw_origin(behave) as origin:
        yield origin, behave


def worker(kafka: KafkaNode, directory: Path, name: str, origin: RawOrigin) -> WorkerProcess:
    settings = {
        env.PRIVATE_HOSTS: origin.authority,
        env.SLOTS: "2",
        env.OPENINGS: "8",
        env.PROJECT_OPENINGS: str(OPENINGS_OF_A_PROJECT),
    }
    started = WorkerProcess(kafka, directory, name, **settings)
    started.wait_ready()
    return started


def test_slow_origins_hold_up_nobody_and_end_when_they_are_told_to(
    kafka: KafkaNode, tmp_path: Path, slow: tuple[RawOrigin, SlowOrigin]
) -> None:
    origin, behave = slow
    url = f"http://{origin.authority}/clip.mp4"
    first = worker(kafka, tmp_path, "first", origin)
    try:
        waiting = [submit(kafka, make_spec(f"{url}?{i}", max_frames=3)) for i in range(N_SLOW)]
        origin.wait(lambda: origin.n_open == OPENINGS_OF_A_PROJECT)

        # Other tasks run as if there were no slow ones, with all slots.
        others = [
            submit(kafka, make_spec(f"file://{CLIP}", max_frames=5), project=f"other{i}")
            for i in range(3)
        ]
        for other in others:
            assert chunks_of(other.follow(timeout_s=40))[-1].finish_reason == "max_frames"
        assert origin.n_open == OPENINGS_OF_A_PROJECT

        # A cancel ends a task that opens, and one that has not begun to.
        opening, last = _opening(waiting, origin), waiting[-1]
        for tail in (opening, last):
            asked_ms = time.time_ns() // 1_000_000
            cancel(kafka, tail.submitted.task)
            (terminal,) = chunks_of(tail.follow(timeout_s=20))
            assert terminal.finish_reason == "cancelled"
            assert tail.written_ms[-1] - asked_ms < 2000

        stopped_s = time.monotonic()
        first.send(signal.SIGTERM)
        assert first.process.wait(20) == 0
        took_s = time.monotonic() - stopped_s
        assert took_s < 4, f"the worker took {took_s:.1f} s to leave"
        origin.wait(lambda: origin.n_open == 0)
    finally:
        first.stop()

    # What was not open yet is simply opened again.
    behave.serves.set()
    second = worker(kafka, tmp_path, "second", origin)
    try:
        *frames, terminal = chunks_of(waiting[0 if waiting[0] is not opening else 1].follow())
        assert terminal.finish_reason == "max_frames"
        assert len(frames) == 3
    finally:
        for tail in waiting:
            cancel(kafka, tail.submitted.task)
        second.stop()
        for tail in (*waiting, *others):
            tail.close()


def _opening(tails: list[LogTail], origin: RawOrigin) -> LogTail:
    """Return the task whose source was asked for last, of those that are being opened."""
    number = int(origin.paths[-1].partition("?")[2])
    return tails[number]
