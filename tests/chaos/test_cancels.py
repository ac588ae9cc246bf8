"""Cancel at every moment, twice, from two apis at once: one end, a whole archive, right usage."""

import signal
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import httpx
import pytest

from streamproc.contract.chunk import Chunk
from tests.chaos.clients import StreamClient, submit
from tests.chaos.evidence import (
    BRIEF,
    create_key,
    findings_of_index,
    stories_of_kafka,
    undisturbed_chunks,
    wait_for_archive,
    wait_for_index,
)
from tests.chaos.fleet import Fleet
from tests.chaos.kafka import ProxiedKafka
from tests.engines import S3Server
from tests.terminals import usage_of
from tests.workers import chunks_of, timeless

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(300)]
PATIENCE_S = 90.0


@dataclass
class Scene:
    """The running fleet and a project's key in it."""

    fleet: Fleet
    project: str
    key: str
    undisturbed: list[Chunk]
    tasks: set[str] = field(default_factory=set)

    def begin(self, n_events: int = 0) -> StreamClient:
        """Submit a task and return its reader once it has read so many events."""
        name = f"cancel-{time.monotonic_ns()}"
        client = StreamClient(self.fleet, self.key, submit(self.fleet, self.key, BRIEF, name), 1)
        client.start()
        self.tasks.add(client.task)
        deadline_s = time.monotonic() + PATIENCE_S
        while client.log.count(b"\n\n") < n_events:
            assert time.monotonic() < deadline_s
            time.sleep(0.005)
        return client

    def cancel(self, task: str, number: int) -> httpx.Response:
        return httpx.post(
            f"{self.fleet.api_url(number)}/v1/video/tasks/{task}/cancel",
            headers={"Authorization": f"Bearer {self.key}"},
            timeout=30,
        )

    def cancel_everywhere(self, task: str) -> set[int]:
        """Cancel twice at each api, all at the same moment; return the answers' status codes."""
        together = threading.Barrier(4)

        def one(number: int) -> int:
            together.wait()
            return self.cancel(task, number).status_code

        with ThreadPoolExecutor(4) as threads:
            return set(threads.map(one, (0, 1, 0, 1)))

    def workers(self, signum: int) -> None:
        for name, member in self.fleet.members.items():
            if name.startswith("worker"):
                member.send(signum)

    def status(self, task: str, number: int) -> str:
        answer = httpx.get(
            f"{self.fleet.api_url(number)}/v1/video/tasks/{task}",
            headers={"Authorization": f"Bearer {self.key}"},
            timeout=30,
        )
        status: str = answer.json()["status"]
        return status


@pytest.fixture(scope="module")
def scene(
    kafka: ProxiedKafka, s3_server: S3Server, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Scene]:
    """After the tests the fleet stops, and every task's rows are compared with its log."""
    fleet = Fleet(kafka, s3_server, tmp_path_factory.mktemp("fleet"), n_workers=2)
    try:
        fleet.start()
        project, key = create_key(fleet)
        made = Scene(fleet, project, key, undisturbed_chunks(fleet, key, BRIEF))
        yield made
        wait_for_index(fleet)
    finally:
        fleet.stop()
    assert [found for found in findings_of_index(fleet) if found.task in made.tasks] == []


def check(scene: Scene, kafka: ProxiedKafka, s3: S3Server, client: StreamClient) -> Chunk:
    """Return the terminal of a task that ended once, its log being the same everywhere."""
    client.join(PATIENCE_S)
    assert client.finished, f"{client.task} stands at {len(client.log)}"
    story = stories_of_kafka(kafka)[client.task]
    log = bytes(client.log)
    assert log == story.log
    assert log.count(b"data: [DONE]") == 1
    wait_for_archive(s3, scene.project, {client.task: log}, [client.task])
    *frames, terminal = chunks_of(log)
    assert timeless(frames) == timeless(scene.undisturbed[: len(frames)])
    assert usage_of(terminal).processed_frames == len(frames)
    return terminal


def statuses(scene: Scene, task: str) -> Sequence[str]:
    return [scene.status(task, number) for number in (0, 1)]


def test_before_pickup(scene: Scene, kafka: ProxiedKafka, s3_server: S3Server) -> None:
    scene.workers(signal.SIGSTOP)
    try:
        client = scene.begin()
        assert scene.cancel_everywhere(client.task) == {202}
        assert "cancelling" in statuses(scene, client.task)
    finally:
        scene.workers(signal.SIGCONT)
    terminal = check(scene, kafka, s3_server, client)
    assert terminal.finish_reason == "cancelled"
    assert usage_of(terminal).processed_frames == 0
    assert statuses(scene, client.task) == ["cancelled", "cancelled"]


def test_while_it_runs_and_again_when_it_is_over(
    scene: Scene, kafka: ProxiedKafka, s3_server: S3Server
) -> None:
    client = scene.begin(5)
    assert scene.cancel_everywhere(client.task) == {202}
    terminal = check(scene, kafka, s3_server, client)
    assert terminal.finish_reason == "cancelled"
    assert scene.cancel_everywhere(client.task) == {202}
    assert statuses(scene, client.task) == ["cancelled", "cancelled"]


@pytest.mark.parametrize("n_missing", range(5))
def test_at_the_last_frames_one_of_both_wins(
    scene: Scene, kafka: ProxiedKafka, s3_server: S3Server, n_missing: int
) -> None:
    client = scene.begin(len(scene.undisturbed) - 1 - n_missing)
    answers = scene.cancel_everywhere(client.task)
    assert answers <= {202, 409}
    terminal = check(scene, kafka, s3_server, client)
    if answers == {409}:
        assert terminal.finish_reason == "stop"
    outcome = {"stop": "succeeded", "cancelled": "cancelled"}[str(terminal.finish_reason)]
    assert statuses(scene, client.task) == [outcome, outcome]
    assert scene.cancel(client.task, 1).status_code == (409 if outcome == "succeeded" else 202)


def test_the_worker_dies_of_something_else_meanwhile(
    scene: Scene, kafka: ProxiedKafka, s3_server: S3Server
) -> None:
    client = scene.begin(20)
    scene.workers(signal.SIGKILL)
    assert scene.cancel_everywhere(client.task) == {202}
    terminal = check(scene, kafka, s3_server, client)
    assert terminal.finish_reason == "cancelled"
