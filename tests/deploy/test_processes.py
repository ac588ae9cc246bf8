"""The commands, variables and files of compose.yaml as plain processes: no container is run.

Real Apache Kafka on deploy/kafka/server.properties, real SeaweedFS by its service's command, the
bucket's one-shot, nginx on deploy/nginx.conf, and our own services by their commands. Names of the
compose network become loopback ports. Instead of a ClickHouse server each API has a chDB of its
own, and the first one the index role: chDB has one owner.
"""

import base64
import os
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, suppress
from pathlib import Path
from random import SystemRandom
from types import MappingProxyType
from typing import Any

import httpx
import pytest

from console.stack.ports import is_free
from streamproc.contract import env
from streamproc.embedded_kafka.jars import class_path, java
from tests.deploy.compose import ROOT, example, services
from tests.plugins.missing import find_program, needs_program
from tests.ports import die_with_parent, free_ports, wait_for_port
from tests.workers import CLIP, chunks_of

pytestmark = [
    pytest.mark.usefixtures("engines"),
    needs_program("nginx", promise="compose.yaml's services behind deploy/nginx.conf"),
]
_START_S = 90.0
_MAKE_TABLES = (
    "import os; from streamproc.clients.clickhouse import client_factory; "
    "from streamproc.sinks.index.tables import IndexTables; "
    f"IndexTables(client_factory(os.environ['{env.CLICKHOUSE}'])).prepare()"
)
_QUICK = ("-Xmx256m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1")
_GRPC = 10_000  # SeaweedFS: a port's gRPC twin


class Deployment:
    """The services as processes; `ports` by the name and port of the compose network."""

    def __init__(self, directory: Path, cleanup: ExitStack) -> None:
        self.directory, self._cleanup = directory, cleanup
        self.services = services(example())
        names = ["kafka:9092", "kafka:9093", "api-1:8080", "api-2:8080", "nginx:8080"]
        self.ports = dict(zip(names, free_ports(len(names)), strict=True))
        for port in (9333, 8080, 8888, 8333):
            self.ports[f"seaweedfs:{port}"] = _twin_port(set(self.ports.values()))
        self.processes: dict[str, subprocess.Popen[bytes]] = {}

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.ports['nginx:8080']}"

    def placed(self, text: str) -> str:
        """Return the text with every address of the network made a loopback port."""
        for name, port in self.ports.items():
            text = text.replace(name, f"127.0.0.1:{port}")
        return text

    def start(
        self, name: str, command: list[str], environ: Mapping[str, str] = MappingProxyType({})
    ) -> None:
        log = self._cleanup.enter_context((self.directory / f"{name}.log").open("wb"))
        process = subprocess.Popen(
            command,
            env={**os.environ, **environ},
            cwd=ROOT,
            stdout=log,
            stderr=log,
            preexec_fn=die_with_parent,  # noqa: PLW1509 - no thread runs yet
        )
        self.processes[name] = process
        self._cleanup.callback(process.wait)
        self._cleanup.callback(process.kill)

    def start_api(self, name: str) -> None:
        environ = self.environ(name)
        environ[env.PORT] = str(self.ports[f"{name}:8080"])
        environ[env.HOST] = "127.0.0.1"
        environ[env.INDEX_IN_API] = "1" if name == "api-1" else "0"
        self.start(name, self.python(name), environ)

    def await_api(self, name: str) -> None:
        _until(_answers(f"http://127.0.0.1:{self.ports[f'{name}:8080']}/health/ready"), self)

    def run(self, command: list[str], environ: Mapping[str, str]) -> None:
        """Run a one-shot to its good end."""
        environ = {**os.environ, **environ}
        subprocess.run(command, env=environ, cwd=ROOT, capture_output=True, check=True, timeout=90)

    def environ(self, name: str) -> dict[str, str]:
        """Return a service's variables, its files below the test's directory."""
        told = self.services[name]["environment"]
        environ = {k: self.placed(str(v)) for k, v in told.items()}
        environ = {
            k: v.replace("/tmp/", f"{self.directory}/{name}-").replace("/etc/framewire", "deploy")
            for k, v in environ.items()
        }
        (self.directory / "models").mkdir(exist_ok=True)
        environ[env.MODELS] = str(self.directory / "models")
        environ[env.CLICKHOUSE] = f"chdb://{self.directory / name}-chdb"
        if "TMPDIR" in environ:
            environ["TMPDIR"] = str(self.directory)
        return environ

    def python(self, name: str) -> list[str]:
        return [sys.executable, *self.services[name]["command"][1:]]

    def ends_its_children(self, name: str) -> None:
        """Let a process end its own children before it is killed."""
        process = self.processes[name]

        def end() -> None:
            process.terminate()
            with suppress(subprocess.TimeoutExpired):
                process.wait(5)

        self._cleanup.callback(end)

    def failed(self) -> str:
        return "\n".join(
            f"{name} ended with {process.returncode}:\n"
            + (self.directory / f"{name}.log").read_text(errors="replace")[-2000:]
            for name, process in self.processes.items()
            if process.poll() not in {None, 0}
        )


def _twin_port(taken: set[int]) -> int:
    """Return a free port whose gRPC twin is free, too; both below the ephemeral range."""
    while True:
        port = SystemRandom().randint(15_000, 22_000)
        twins = {port, port + _GRPC}
        if not twins & {t for p in taken for t in (p, p + _GRPC)} and all(map(is_free, twins)):
            return port


def _until(condition: Callable[[], bool], deployment: Deployment) -> None:
    deadline_s = time.monotonic() + _START_S
    while not condition():
        assert time.monotonic() < deadline_s, deployment.failed() or "it did not come to pass"
        time.sleep(0.1)


def _answers(url: str) -> Callable[[], bool]:
    def probe() -> bool:
        try:
            with urllib.request.urlopen(url, timeout=5) as answer:
                return bool(answer.status == 200)
        except OSError:
            return False

    return probe


def _start_kafka(deployment: Deployment) -> None:
    text = (ROOT / "deploy/kafka/server.properties").read_text()
    text = deployment.placed(text.replace("localhost:9093", "kafka:9093"))
    for listener in ("9092", "9093"):
        text = text.replace(
            f"//:{listener}", f"//127.0.0.1:{deployment.ports[f'kafka:{listener}']}"
        )
    text = text.replace("/var/lib/kafka/data", str(deployment.directory / "kafka"))
    settings = deployment.directory / "server.properties"
    settings.write_text(text)
    tool = [str(java()), *_QUICK, "-cp", class_path()]
    cluster_id = deployment.services["kafka"]["environment"]["CLUSTER_ID"]
    subprocess.run(
        [*tool, "kafka.tools.StorageTool", "format", "-t", cluster_id, "-c", str(settings)],
        check=True,
        capture_output=True,
    )
    deployment.start("kafka", [*tool, "kafka.Kafka", str(settings)])
    wait_for_port(deployment.ports["kafka:9092"])


def _start_seaweedfs(deployment: Deployment) -> None:
    service = deployment.services["seaweedfs"]
    data = deployment.directory / "seaweedfs"
    data.mkdir()
    arguments, grpc = [], dict[str, int]()
    for argument in service["command"]:
        name, _, value = argument.partition("=")
        if name.endswith(".port"):
            value = str(deployment.ports[f"seaweedfs:{value}"])
            # By itself it would be the port + 10000, which others of this machine may have.
            (grpc[name],) = free_ports(1)
            arguments.append(f"{name}.grpc={grpc[name]}")
        value = {"/data": str(data), "seaweedfs": "127.0.0.1", "0.0.0.0": "127.0.0.1"}.get(
            value, value
        )
        arguments.append(f"{name}={value}" if value else name)
    weed = str(Path(sys.executable).with_name("weed"))
    deployment.start("seaweedfs", [weed, *arguments], service["environment"])
    port = deployment.ports["seaweedfs:8333"]
    _until(_answers(f"http://127.0.0.1:{port}/status"), deployment)
    bucket = deployment.services["bucket"]
    path = f"{Path(weed).parent}:{os.environ['PATH']}"
    master = f"{deployment.ports['seaweedfs:9333']}.{grpc['-master.port']}"
    (script,) = bucket["command"]
    subprocess.run(
        [*bucket["entrypoint"], script.replace("seaweedfs:9333", f"127.0.0.1:{master}")],
        env={**os.environ, "PATH": path},
        check=True,
        capture_output=True,
        timeout=60,
    )


def _start_nginx(deployment: Deployment) -> None:
    directory = deployment.directory / "nginx"
    directory.mkdir()
    text = deployment.placed((ROOT / "deploy/nginx.conf").read_text())
    text = text.replace("listen 8080", f"listen 127.0.0.1:{deployment.ports['nginx:8080']}")
    conf = directory / "nginx.conf"
    conf.write_text(text.replace("/tmp/", f"{directory}/"))
    command = [str(find_program("nginx")), "-p", str(directory), "-e", "stderr", "-c", str(conf)]
    # Started by root it would give itself to `nobody`, who may not enter the test's directory.
    user = "user root;" if os.geteuid() == 0 else ""
    deployment.start("nginx", [*command, "-g", f"daemon off; {user}"])
    deployment.ends_its_children("nginx")
    _until(_answers(f"{deployment.url}/health/ready"), deployment)


@pytest.fixture(scope="module")
def deployment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    with ExitStack() as cleanup:
        deployment = Deployment(tmp_path_factory.mktemp("deploy"), cleanup)
        _start_kafka(deployment)
        _start_seaweedfs(deployment)
        deployment.run(deployment.python("topics"), deployment.environ("topics"))
        # The second API's own tables: no index role makes them.
        deployment.run([sys.executable, "-c", _MAKE_TABLES], deployment.environ("api-2"))
        for name in ("archive", "worker"):
            deployment.start(name, deployment.python(name), deployment.environ(name))
        for name in ("api-1", "api-2"):
            deployment.start_api(name)
        for name in ("api-1", "api-2"):
            deployment.await_api(name)
        for name in ("archive", "worker"):
            ready = Path(deployment.environ(name)[env.READY_FILE])
            _until(ready.exists, deployment)
        _start_nginx(deployment)
        yield deployment


@pytest.fixture(scope="module")
def client(deployment: Deployment) -> Iterator[httpx.Client]:
    """A project's client, by way of nginx."""
    admin = {"authorization": f"Bearer {example()[env.ADMIN_KEY]}"}
    with httpx.Client(base_url=deployment.url, trust_env=False, timeout=30) as http:
        http.post("/v1/admin/projects", json={"name": "p", "id": "proj"}, headers=admin)
        # nginx may ask the API that has not yet read of the project.
        answers: list[httpx.Response] = []

        def created() -> bool:
            answers.append(http.post("/v1/admin/keys", json={"project": "proj"}, headers=admin))
            return answers[-1].status_code == 201

        _until(created, deployment)
        key = answers[-1].json()["key"]
        http.headers["authorization"] = f"Bearer {key}"
        _until(lambda: _known_everywhere(deployment, key), deployment)
        yield http


def _known_everywhere(deployment: Deployment, key: str) -> bool:
    urls = [f"http://127.0.0.1:{deployment.ports[f'api-{i}:8080']}/v1/models" for i in (1, 2)]
    headers = {"authorization": f"Bearer {key}"}
    return all(httpx.get(url, headers=headers, trust_env=False).is_success for url in urls)


def _submit(client: httpx.Client, **source: Any) -> str:
    video = {"type": "video_base64", "data": base64.b64encode(CLIP.read_bytes()).decode()}
    body = {"input": [{**video, **source}], "steps": [{"model": "detect"}]}
    answer = client.post("/v1/video/process", json=body)
    assert answer.status_code == 202, answer.text
    return str(answer.json()["id"])


def test_a_task_runs_and_both_apis_give_its_log(
    deployment: Deployment, client: httpx.Client
) -> None:
    task = _submit(client, max_frames=3)
    log = client.get(f"/v1/video/tasks/{task}/stream", timeout=90).content
    assert chunks_of(log)[-1].finish_reason in {"stop", "max_frames"}
    for i in (1, 2):
        url = f"http://127.0.0.1:{deployment.ports[f'api-{i}:8080']}/v1/video/tasks/{task}/stream"
        assert client.get(url).content == log


def test_a_chunk_passes_nginx_before_the_task_ends(client: httpx.Client) -> None:
    task = _submit(client, sampling={"mode": "interval", "value": 1})
    with client.stream("GET", f"/v1/video/tasks/{task}/stream", timeout=90) as stream:
        assert b"data: " in next(stream.iter_raw())
        assert client.get(f"/v1/video/tasks/{task}").json()["status"] == "running"
    client.post(f"/v1/video/tasks/{task}/cancel")


def test_counters_are_not_for_the_public(client: httpx.Client) -> None:
    assert client.get("/metrics").status_code == 404


def test_a_token_of_a_url_is_not_logged(deployment: Deployment, client: httpx.Client) -> None:
    client.get("/v1/video/tasks/vt_x/stream?token=very-secret")
    log = deployment.directory / "nginx.log"
    _until(lambda: "/v1/video/tasks/vt_x/stream" in log.read_text(), deployment)
    assert "very-secret" not in log.read_text()


def test_one_api_may_die(deployment: Deployment, client: httpx.Client) -> None:
    deployment.processes["api-2"].kill()
    deployment.processes["api-2"].wait()
    try:
        for _ in range(6):  # the first of them that goes to the dead one is an error
            client.get("/v1/video/tasks/vt_x/stream?token=secret-though-an-api-is-dead")
        for _ in range(6):
            assert client.get("/v1/models").status_code == 200
        assert "secret-though" not in (deployment.directory / "nginx.log").read_text()
        task = _submit(client, max_frames=1)
        log = client.get(f"/v1/video/tasks/{task}/stream", timeout=90).content
        assert chunks_of(log)[-1].finish_reason in {"stop", "max_frames"}
    finally:
        deployment.start_api("api-2")
        deployment.await_api("api-2")
