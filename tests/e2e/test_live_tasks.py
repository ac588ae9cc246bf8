"""Cameras as tasks, on real workers: losses, deaths, cancels; one log, whose ids go on."""

import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from msgspec import UNSET

from streamproc.contract import env
from streamproc.contract.chunk import Chunk, StreamInfo, decode_chunk
from streamproc.contract.framing import DONE, parse_events
from streamproc.contract.task_spec import LiveOptions, Sampling
from tests.brokers import KafkaNode
from tests.live.camera import Camera, camera
from tests.live.checks import check_live_chunks, frames_of
from tests.live.clip import Clip, film
from tests.workers import CLIP, LogTail, WorkerProcess, cancel, make_spec, submit

SETTINGS = {env.PRIVATE_HOSTS: "127.0.0.1", env.LIVE_SLICE_S: "2"}


@pytest.fixture(scope="module")
def street() -> Clip:
    """People who walk, ten pictures a second; the clip begins again after its end."""
    return film(str(CLIP), (416, 240), fps=10, gop=10, n_pictures=60, step=2)


@pytest.fixture
def gate(street: Clip) -> Iterator[Camera]:
    with camera(street) as gate:
        yield gate


@pytest.fixture(scope="module")
def workers(kafka: KafkaNode, tmp_path_factory: pytest.TempPathFactory) -> Iterator["Workers"]:
    started = Workers(kafka, tmp_path_factory.mktemp("workers"))
    yield started
    started.stop()


class Workers:
    """Two workers; one that a test killed is replaced before the next test."""

    def __init__(self, kafka: KafkaNode, directory: Path) -> None:
        self._kafka, self._directory = kafka, directory
        self._n_started = 0
        self.running: list[WorkerProcess] = []

    def ready(self) -> None:
        self.running = [one for one in self.running if one.process.poll() is None]
        while len(self.running) < 2:
            name = f"live-{self._n_started}"
            self._n_started += 1
            self.running.append(WorkerProcess(self._kafka, self._directory, name, **SETTINGS))
        for one in self.running:
            one.wait_ready()

    def named(self, name: str) -> WorkerProcess:
        return next(one for one in self.running if one.name == name)

    def stop(self) -> None:
        for one in self.running:
            one.stop()


class Watched:
    """The task of a camera, whose log is read chunk by chunk."""

    def __init__(self, kafka: KafkaNode, url: str, **options: float | None) -> None:
        spec = make_spec(
            url,
            sampling=Sampling("fps", 5),
            live=LiveOptions(**options),  # type: ignore[arg-type] # as given
            max_frames=None,
        )
        self.tail: LogTail = submit(kafka, spec)

    def chunks(self) -> list[Chunk]:
        events = [event for event in parse_events(self.tail.log) if event.data != DONE]
        return [decode_chunk(event.data) for event in events]

    def until(self, n_frames: int, timeout_s: float = 60.0) -> list[Chunk]:
        """Read on until there are so many more frames; return all chunks."""
        wanted = len(self.frames()) + n_frames
        deadline_s = time.monotonic() + timeout_s
        while len(self.frames()) < wanted:
            assert not self.tail.fold.closed, self.chunks()[-1]
            left_s = deadline_s - time.monotonic()
            self.tail.follow(until_length=len(self.tail.log) + 1, timeout_s=left_s)
        return self.chunks()

    def frames(self) -> list[StreamInfo]:
        return frames_of(self.chunks())

    def ids(self) -> list[set[int]]:
        return [
            {target.track_id for result in chunk.delta.results for target in result.targets}
            for chunk in self.chunks()
        ]


def check(watched: Watched) -> None:
    check_live_chunks(watched.chunks())
    assert watched.frames()[0].size == (416, 240)
    assert watched.frames()[0].clock in {"source", "server"}


def test_a_camera_is_a_task_whose_log_says_when_it_was_blind(
    kafka: KafkaNode, workers: Workers, gate: Camera
) -> None:
    workers.ready()
    watched = Watched(kafka, gate.url())
    watched.until(10)
    assert max(len(ids) for ids in watched.ids()) >= 1  # people are seen
    gate.kill()
    time.sleep(3.5)
    gate.revive()
    watched.until(10)
    check(watched)
    notices = [c.stream_info for c in watched.chunks() if c.stream_info.is_notice]
    assert len(notices) >= 1
    assert notices[0].source is not UNSET
    assert notices[0].source.state == "lost"
    gaps = [frame.gap for frame in watched.frames() if frame.gap is not UNSET]
    assert [gap.reason for gap in gaps] == ["source_lost"]
    assert 3.0 < gaps[0].seconds < 10.0
    cancel(kafka, watched.tail.submitted.task)
    begun_s = time.monotonic()
    watched.tail.follow(timeout_s=20)
    assert time.monotonic() - begun_s < 10
    terminal = watched.chunks()[-1]
    assert terminal.finish_reason == "cancelled"
    assert terminal.usage is not UNSET
    assert terminal.usage.processed_frames == len(watched.frames())
    assert terminal.usage.dropped is not UNSET
    deadline_s = time.monotonic() + 10
    while gate._connections:
        assert time.monotonic() < deadline_s
        time.sleep(0.05)


def test_a_killed_workers_camera_goes_on_in_the_same_log_with_the_same_ids(
    kafka: KafkaNode, workers: Workers, gate: Camera
) -> None:
    workers.ready()
    watched = Watched(kafka, gate.url())
    watched.until(20)
    before = watched.ids()
    killed = watched.tail.claims[-1][1].worker
    workers.named(killed).send(signal.SIGKILL)
    watched.until(15)
    check(watched)
    assert watched.tail.claims[-1][1].worker != killed
    gaps = [frame.gap for frame in watched.frames() if frame.gap is not UNSET]
    assert [gap.reason for gap in gaps] == ["worker_lost"]
    known = set().union(*before)
    later = set().union(*watched.ids()[len(before) :])
    assert min(later - known, default=max(known) + 1) > max(known)  # none is given twice
    cancel(kafka, watched.tail.submitted.task)
    watched.tail.follow(timeout_s=20)


def test_a_wrong_password_fails_the_task_after_two_tries(
    kafka: KafkaNode, workers: Workers, street: Clip
) -> None:
    workers.ready()
    with camera(street, login=("user", "right")) as gate:
        watched = Watched(kafka, gate.url("user:wrong"))
        watched.tail.follow(timeout_s=30)
        assert gate.n_tries <= 2
    terminal = watched.chunks()[-1]
    assert terminal.finish_reason == "error"
    assert terminal.error is not UNSET
    assert terminal.error.code == "source_unauthorized"
    assert b"wrong" not in watched.tail.log


def test_a_source_that_stays_away_is_given_up_when_the_task_says_so(
    kafka: KafkaNode, workers: Workers, gate: Camera
) -> None:
    workers.ready()
    watched = Watched(kafka, gate.url(), give_up_s=2.0)
    watched.until(3)
    gate.kill()
    watched.tail.follow(timeout_s=30)
    terminal = watched.chunks()[-1]
    assert terminal.error is not UNSET
    assert terminal.error.code == "source_lost"
    assert terminal.usage is not UNSET
    assert terminal.usage.processed_frames == len(watched.frames())
