"""`make containers`: build the image, run compose.yaml's services in it, kill a worker.

    python -m tests.containers [--data DIR]    DIR keeps the images for the next time

The containers have compose.yaml's restrictions (read-only, no capability, no new privileges, its
user, tmpfs, volumes and variables); what is stood in for is said at the end. Needs root and
Debian's packages docker.io and debootstrap; takes some minutes.
"""

import argparse
import base64
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

from streamproc.contract import env
from tests.brokers import KafkaNode
from tests.chaos.evidence import stories_of_kafka
from tests.containers.deployment import Deployment
from tests.containers.docker import BASE, IMAGE, Docker, build, daemon, make_bases, missing
from tests.data.clips import looped_clip
from tests.deploy.compose import example
from tests.engines import clickhouse_over_http, seaweedfs
from tests.ports import wait_for_port
from tests.workers import chunks_of, timeless

WORKERS = ("worker-1", "worker-2")
_KILL_AFTER_BYTES = 20_000
_N_TIMES = 5  # Docker may take seconds to kill
_TASK_S = 120.0
_INDEXED_S = 30.0
STAND_INS = (
    ("kafka", "the embedded Apache Kafka on the host: the same jars"),
    ("seaweedfs, bucket", "the embedded SeaweedFS on the host, its bucket made by S3"),
    ("clickhouse", "chDB, the same engine, behind tests/clickhouse.py"),
    ("the base images", f"{BASE} is Debian's python3, nginx Debian's nginx-light"),
    ("the network", "the host's: each service has a port of its own on 127.0.0.1"),
    ("restart, healthcheck, depends_on", "this script starts, asks and waits"),
)


def main() -> int:
    if lacks := missing():
        hint = "apt-get install docker.io debootstrap"
        sys.stderr.write(f"not run, for want of: {', '.join(lacks)} ({hint})\n")
        return 2
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--data", type=Path, help="a directory that keeps the images")
    kept: Path | None = parser.parse_args().data
    with tempfile.TemporaryDirectory(prefix="framewire-containers-") as name:
        directory = (kept or Path(name)).resolve()
        directory.mkdir(parents=True, exist_ok=True)
        with daemon(directory) as docker:
            _timed("base images made", lambda: make_bases(docker, directory))
            _timed("image built", lambda: build(docker))
            size = int(docker("image", "inspect", "--format", "{{.Size}}", IMAGE))
            _say(f"the image has {size / 1e6:.0f} MB")
            with deployed(docker, Path(name)) as deployment:
                check(deployment, Path(name))
    _say("Stood in for:")
    for part, by in STAND_INS:
        _say(f"  {part:<34}{by}")
    return 0


@contextmanager
def deployed(docker: Docker, directory: Path) -> Iterator[Deployment]:
    """Run the engines on the host, and all services in containers."""
    for part in ("kafka", "seaweedfs", "clickhouse"):
        (directory / part).mkdir()
    kafka = KafkaNode(directory / "kafka")
    kafka.launch()
    try:
        wait_for_port(kafka.node.port)
        with (
            seaweedfs(directory / "seaweedfs") as s3,
            clickhouse_over_http(directory / "clickhouse") as port,
        ):
            deployment = Deployment(docker, directory, kafka, s3, port)
            try:
                deployment.clear()
                deployment.run("topics")
                deployment.start("index", "archive", *WORKERS, "api-1", "api-2")
                deployment.start("nginx")
                yield deployment
            finally:
                deployment.stop()
    finally:
        kafka.kill()


def check(deployment: Deployment, directory: Path) -> None:
    """Do the clip twice, the second time with a worker killed in the middle; compare, and look."""
    for name in (*WORKERS, "api-1", "nginx"):
        found = deployment.inspect(
            name,
            "{{.HostConfig.ReadonlyRootfs}} {{.HostConfig.CapDrop}} {{.HostConfig.SecurityOpt}}"
            " {{.Config.User}}",
        )
        read_only, capabilities, privileges, user = found.split()
        assert read_only == "true", found
        assert capabilities == "[ALL]", found
        assert privileges == "[no-new-privileges:true]", found
        assert user.split(":")[0] not in {"", "0", "root"}, found
    with project(deployment) as client:
        _until(lambda: {worker["id"] for worker in workers(client)} == set(WORKERS))
        for worker in workers(client):
            _say(f"{worker['id']}: sandbox {worker['sandbox']}")
        clip = looped_clip(directory / "clip.mp4", _N_TIMES).read_bytes()
        plain = follow(client, submit(client, clip))
        task = submit(client, clip)
        killed: list[str] = []

        def kill(n_bytes: int) -> None:
            if n_bytes >= _KILL_AFTER_BYTES and not killed:
                killed.append(stories_of_kafka(deployment.kafka)[task].worker)
                deployment.kill(killed[0])

        disturbed = follow(client, task, kill)
        assert killed, "the task was over before its worker could be killed"
        story = stories_of_kafka(deployment.kafka)[task]
        assert {worker for _, worker in story.written} == set(WORKERS), story.written
        assert timeless(chunks_of(disturbed)) == timeless(chunks_of(plain))
        for name in ("api-1", "api-2"):
            url = f"{deployment.url(name)}/v1/video/tasks/{task}/stream"
            assert client.get(url).content == disturbed
        tracks = indexed(client, task)
        _say(
            f"{killed[0]} was killed, {story.worker} went on: {len(disturbed)} bytes,"
            f" {len(tracks)} tracks, the same chunks as undisturbed, on both APIs"
        )


@contextmanager
def project(deployment: Deployment) -> Iterator[httpx.Client]:
    """Make a project by way of nginx; yield its client once both APIs know the key."""
    admin = {"Authorization": f"Bearer {example()[env.ADMIN_KEY]}"}
    with httpx.Client(base_url=deployment.url("nginx"), trust_env=False, timeout=30) as client:
        made = client.post("/v1/admin/projects", json={"name": "containers"}, headers=admin)
        made.raise_for_status()
        body = {"project": made.json()["id"]}
        _until(lambda: all(_knows(deployment, name, body, admin) for name in ("api-1", "api-2")))
        answer = client.post("/v1/admin/keys", json=body, headers=admin).raise_for_status()
        client.headers["Authorization"] = f"Bearer {answer.json()['key']}"
        urls = [f"{deployment.url(name)}/v1/models" for name in ("api-1", "api-2")]
        _until(lambda: all(client.get(url).is_success for url in urls))
        yield client


def _knows(deployment: Deployment, name: str, body: dict[str, str], admin: dict[str, str]) -> bool:
    url = f"{deployment.url(name)}/v1/admin/projects"
    known = httpx.get(url, headers=admin, trust_env=False).json()["data"]
    return body["project"] in {found["id"] for found in known}


def workers(client: httpx.Client) -> list[dict[str, Any]]:
    """Return the workers that were heard of."""
    found: list[dict[str, Any]] = client.get("/v1/system").json()["workers"]
    return found


def submit(client: httpx.Client, clip: bytes) -> str:
    data = base64.b64encode(clip).decode()
    video: dict[str, Any] = {"type": "video_base64", "data": data}
    video["sampling"] = {"mode": "interval", "value": 1}
    body = {"input": [video], "steps": [{"model": "detect"}]}
    answer = client.post("/v1/video/process", json=body)
    assert answer.status_code == 202, answer.text
    return str(answer.json()["id"])


def follow(client: httpx.Client, task: str, seen: Callable[[int], None] = lambda _: None) -> bytes:
    """Return the task's whole log; `seen` is told how long it is so far."""
    log = b""
    url = f"/v1/video/tasks/{task}/stream"
    with client.stream("GET", url, timeout=_TASK_S) as stream:
        for piece in stream.iter_raw():
            log += piece
            seen(len(log))
    return log


def indexed(client: httpx.Client, task: str) -> list[Any]:
    """Return the task's tracks once the index has them."""
    found: list[Any] = []

    def there() -> bool:
        answer = client.get("/v1/video/tracks", params={"task": task, "limit": 200})
        found[:] = answer.json()["data"] if answer.is_success else []
        return bool(found)

    _until(there)
    return found


def _until(condition: Callable[[], bool]) -> None:
    deadline_s = time.monotonic() + _INDEXED_S
    while not condition():
        assert time.monotonic() < deadline_s, "it did not come to pass"
        time.sleep(0.1)


def _timed(what: str, do: Callable[[], None]) -> None:
    begun_s = time.monotonic()
    do()
    _say(f"{what}: {time.monotonic() - begun_s:.0f} s")


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
