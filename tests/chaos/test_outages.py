"""Outages: a part is away for a while, then back. Tasks go on or wait, and nobody lends a hand.

FRAMEWIRE_CHAOS_OUTAGE_S sets how long every part is away; without it each has its own time.
"""

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from streamproc.contract.chunk import Chunk
from streamproc.contract.topics import ARCHIVE_GROUP, INDEX_GROUP, WORKER_GROUP
from tests.chaos.clients import StreamClient, submit
from tests.chaos.evidence import (
    BODY,
    create_key,
    findings_of_index,
    stories_of_kafka,
    undisturbed_chunks,
    wait_for_archive,
)
from tests.chaos.fleet import Fleet
from tests.chaos.kafka import ProxiedKafka
from tests.engines import S3Server, clickhouse_over_http, seaweedfs
from tests.workers import chunks_of, timeless

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(600)]
PATIENCE_S = 90.0
DISK_MIB = 256
TURN_S = 0.25


def lasting(usual_s: float) -> float:
    return float(os.environ.get("FRAMEWIRE_CHAOS_OUTAGE_S") or usual_s)


def until(holds: Callable[[], bool], what: str, timeout_s: float = PATIENCE_S) -> float:
    """Return how long it took until `holds`, in seconds."""
    started_s = time.monotonic()
    while not holds():
        assert time.monotonic() < started_s + timeout_s, f"not within {timeout_s:g} s: {what}"
        time.sleep(TURN_S)
    return time.monotonic() - started_s


@dataclass
class Scene:
    """The running fleet, a project's key in it, and what a task says when nothing happens."""

    fleet: Fleet
    kafka: ProxiedKafka
    s3: S3Server
    disk: Path
    project: str
    key: str
    undisturbed: list[Chunk]

    def begin(self) -> StreamClient:
        """Submit a task and return its reader once it has read something."""
        name = f"outage-{time.monotonic_ns()}"
        client = StreamClient(self.fleet, self.key, submit(self.fleet, self.key, BODY, name), 1)
        client.start()
        until(lambda: bool(client.log), "the task's first byte")
        return client

    def away(self, number: int) -> set[str]:
        """Return the parts that an api says it lacks."""
        answer = httpx.get(f"{self.fleet.api_url(number)}/health/ready", timeout=15)
        away = {part["name"] for part in answer.json()["parts"] if not part["ready"]}
        assert answer.status_code == (503 if away else 200)
        return away

    def lag(self, group: str, number: int = 0) -> float | None:
        """Return how many messages a role is behind as `/metrics` has it; None: not known."""
        text = httpx.get(f"{self.fleet.api_url(number)}/metrics", timeout=15).text
        found = [
            sample.value
            for family in text_string_to_metric_families(text)
            for sample in family.samples
            if sample.name == "framewire_lag_messages" and sample.labels["group"] == group
        ]
        return sum(found) if found else None

    def post(self, number: int) -> httpx.Response:
        return httpx.post(
            f"{self.fleet.api_url(number)}/v1/video/process",
            json=BODY,
            headers={"Authorization": f"Bearer {self.key}"},
            timeout=60,
        )

    def is_over(self, task: str) -> bool:
        story = stories_of_kafka(self.kafka).get(task)
        return story is not None and story.fold.closed

    @contextmanager
    def outage(
        self, part: str, seconds: float, begin: Callable[[], None], end: Callable[[], None]
    ) -> Iterator[None]:
        """Take a part away: both apis say so meanwhile and are ready again by themselves."""
        n_starts = self.n_starts()
        begin()
        ends_s = time.monotonic() + seconds
        try:
            until(lambda: part in self.away(0), f"api 0 misses {part}")
            until(lambda: part in self.away(1), f"api 1 misses {part}")
            yield
            while time.monotonic() < ends_s:
                assert part in self.away(0)
                time.sleep(TURN_S)
        finally:
            end()
        back_s = until(lambda: not self.away(0) and not self.away(1), "ready again")
        groups = (ARCHIVE_GROUP, INDEX_GROUP, WORKER_GROUP)
        even_s = until(lambda: [self.lag(g) for g in groups] == [0, 0, 0], "all lags are 0")
        assert self.n_starts() == n_starts
        sys.stdout.write(
            f"\n{part} was away for {seconds:g} s: ready after {back_s:.1f} s, "
            f"nothing behind {even_s:.1f} s later\n"
        )

    def n_starts(self) -> dict[str, int]:
        """Return how often each process was started: whoever ends is started again."""
        return {member.name: member.starts for member in self.fleet.members.values()}

    def is_refused(self, number: int) -> None:
        answer = self.post(number)
        assert answer.status_code == 503, answer.text
        assert int(answer.headers["Retry-After"]) > 0

    def check(self, *clients: StreamClient) -> None:
        """All logs are whole and the same everywhere: client, Kafka, S3, ClickHouse."""
        for client in clients:
            client.join(PATIENCE_S)
            assert client.finished, f"{client.task} stands at {len(client.log)}"
        stories = stories_of_kafka(self.kafka)
        for client in clients:
            log = bytes(client.log)
            assert log == stories[client.task].log
            wait_for_archive(self.s3, self.project, {client.task: log}, [client.task])
            assert timeless(chunks_of(log)) == timeless(self.undisturbed)
        until(lambda: findings_of_index(self.fleet) == [], "the index says what the logs say")


@pytest.fixture(scope="module")
def disk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A small disk of its own, which a test can fill."""
    path = tmp_path_factory.mktemp("disk")
    mount = ["mount", "-t", "tmpfs", "-o", f"size={DISK_MIB}m", "tmpfs", str(path)]
    made = subprocess.run(mount, capture_output=True, check=False)
    if made.returncode != 0:
        pytest.skip("no disk can be mounted here")
    yield path
    subprocess.run(["umount", "--lazy", str(path)], check=True)


@pytest.fixture(scope="module")
def clickhouse_port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """ClickHouse's engine behind its HTTP interface, in a process of its own."""
    with clickhouse_over_http(tmp_path_factory.mktemp("clickhouse")) as port:
        yield port


@pytest.fixture(scope="module")
def scene(
    kafka: ProxiedKafka,
    disk: Path,
    clickhouse_port: int,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Scene]:
    with seaweedfs(disk) as s3:
        fleet = Fleet(
            kafka,
            s3,
            tmp_path_factory.mktemp("fleet"),
            n_workers=2,
            clickhouse_port=clickhouse_port,
        )
        try:
            fleet.start()
            project, key = create_key(fleet)
            chunks = undisturbed_chunks(fleet, key)
            yield Scene(fleet, kafka, s3, disk, project, key, chunks)
        finally:
            fleet.stop()


def test_without_s3_tasks_go_on_and_none_is_taken(scene: Scene) -> None:
    proxy = scene.fleet.s3_proxy
    task = scene.begin()
    with scene.outage("s3", lasting(60), lambda: proxy.refuse(True), lambda: proxy.refuse(False)):
        scene.is_refused(0)
        scene.is_refused(1)
        until(lambda: (scene.lag(ARCHIVE_GROUP) or 0) > 0, "the archive is behind")
        until(lambda: scene.is_over(task.task), "the task ends all the same")
    scene.check(task, scene.begin())


def test_a_full_disk_at_the_archive_loses_nothing(scene: Scene) -> None:
    ballast = scene.disk / "ballast"

    def fill() -> None:
        with ballast.open("wb") as file:
            for size in (1024 * 1024, 4096):
                while shutil.disk_usage(scene.disk).free >= size:
                    file.write(bytes(size))
                    file.flush()

    task = scene.begin()
    with scene.outage("s3", lasting(60), fill, ballast.unlink):
        until(lambda: (scene.lag(ARCHIVE_GROUP) or 0) > 0, "the archive is behind")
        until(lambda: scene.is_over(task.task), "the task ends all the same")
    scene.check(task, scene.begin())


def test_without_clickhouse_tasks_are_taken_and_done(scene: Scene) -> None:
    proxy = scene.fleet.clickhouse_proxy
    task = scene.begin()
    with scene.outage(
        "clickhouse", lasting(60), lambda: proxy.refuse(True), lambda: proxy.refuse(False)
    ):
        other = scene.begin()
        until(lambda: (scene.lag(INDEX_GROUP) or 0) > 0, "the index is behind")
        other.join(PATIENCE_S)
        assert other.finished
        listed = httpx.get(
            f"{scene.fleet.api_url(0)}/v1/video/tasks",
            headers={"Authorization": f"Bearer {scene.key}"},
            timeout=30,
        )
        assert (listed.status_code, listed.json()["code"]) == (503, "clickhouse_unavailable")
        assert int(listed.headers["Retry-After"]) > 0
    scene.check(task, other)


def test_without_kafka_tasks_wait_and_none_is_taken(scene: Scene) -> None:
    proxy = scene.kafka.proxy
    task = scene.begin()
    with scene.outage(
        "kafka", lasting(30), lambda: proxy.refuse(True), lambda: proxy.refuse(False)
    ):
        scene.is_refused(0)
        scene.is_refused(1)
        until(lambda: scene.lag(ARCHIVE_GROUP) is None, "no lag is known")
    scene.check(task, scene.begin())
