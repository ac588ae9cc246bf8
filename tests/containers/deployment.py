"""compose.yaml's own services as containers, with its restrictions, on the embedded engines."""

import shutil
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import httpx

from streamproc.contract import env
from tests.brokers import N_PARTITIONS, KafkaNode
from tests.containers.docker import IMAGE, NGINX, Docker
from tests.deploy.compose import ROOT, example, services
from tests.engines import S3Server
from tests.ports import free_ports

_START_S = 120.0


class Deployment:
    """The containers; `ports` by the name and port of the compose network."""

    def __init__(
        self, docker: Docker, directory: Path, kafka: KafkaNode, s3: S3Server, clickhouse: int
    ) -> None:
        self._docker, self._directory, self.kafka = docker, directory, kafka
        self._services = services(example())
        names = ("api-1:8080", "api-2:8080", "nginx:8080")
        self.ports = dict(zip(names, free_ports(len(names)), strict=True))
        self._engines = {
            env.KAFKA: kafka.bootstrap,
            **s3.environ,
            env.CLICKHOUSE: f"http://framewire:any@127.0.0.1:{clickhouse}/framewire",
        }

    def url(self, name: str) -> str:
        return f"http://127.0.0.1:{self.ports[f'{name}:8080']}"

    def start(self, *names: str) -> None:
        """Run services in containers, `worker-2` is another `worker`, and wait for all of them."""
        for name in names:
            self._launch(name)
        for name in names:
            deadline_s = time.monotonic() + _START_S
            while not self._is_ready(name):
                if time.monotonic() > deadline_s:
                    raise SystemExit(f"{name} was not ready in time:\n{self.logs(name)}")
                time.sleep(0.2)

    def run(self, name: str) -> None:
        """Run a one-shot service to its good end."""
        told = self._services[name]
        self._docker("run", "--rm", *self._options(name, told), IMAGE, *self._command(told))

    def kill(self, name: str) -> None:
        self._docker("kill", "--signal", "KILL", name)

    def logs(self, name: str) -> str:
        return self._docker("logs", "--tail", "40", name)

    def stop(self) -> None:
        """End all containers as compose does: SIGTERM, and time."""
        names = self._docker("ps", "--quiet").split()
        if names:
            self._docker("stop", "--time", "30", *names, timeout_s=300)
        self.clear()

    def clear(self) -> None:
        """Remove what is left of a run, an earlier one's too."""
        if names := self._docker("ps", "--all", "--quiet").split():
            self._docker("rm", "--force", *names)
        if volumes := self._docker("volume", "ls", "--quiet").split():
            self._docker("volume", "rm", *volumes)

    def inspect(self, name: str, template: str) -> str:
        return self._docker("inspect", "--format", template, name).strip()

    def _launch(self, name: str) -> None:
        told = self._services[name if name in self._services else name.partition("-")[0]]
        command = self._command(told)
        image = IMAGE
        if name == "nginx":
            image, command = NGINX, ["nginx", "-e", "stderr", "-g", "daemon off;"]
        self._docker("run", "--detach", "--name", name, *self._options(name, told), image, *command)

    def _command(self, told: Mapping[str, Any]) -> list[str]:
        return [str(word) for word in told.get("command", ())]

    def _options(self, name: str, told: Mapping[str, Any]) -> list[str]:
        options = ["--network", "host", f"--stop-signal={told.get('stop_signal', 'SIGTERM')}"]
        options += ["--user", told.get("user", "101:101")]
        if told.get("init") and shutil.which("docker-init"):
            options.append("--init")
        if told["read_only"]:
            options.append("--read-only")
        options += [f"--cap-drop={capability}" for capability in told["cap_drop"]]
        options += [f"--security-opt={option}" for option in told["security_opt"]]
        options += [f"--tmpfs={path}" for path in told["tmpfs"]]
        options += [f"--env={key}={value}" for key, value in self._environ(name, told).items()]
        return options + [f"--volume={self._volume(volume)}" for volume in told.get("volumes", ())]

    def _environ(self, name: str, told: Mapping[str, Any]) -> dict[str, str]:
        if "environment" not in told:
            return {}
        environ = {key: str(value) for key, value in told["environment"].items()}
        environ |= {key: value for key, value in self._engines.items() if key in environ}
        environ |= {env.WORKER_ID: name} if name.startswith("worker") else {}
        if f"{name}:8080" in self.ports:
            environ |= {env.HOST: "127.0.0.1", env.PORT: str(self.ports[f"{name}:8080"])}
        return environ | {env.PARTITIONS: str(N_PARTITIONS), env.REQUIRE_SANDBOX: "1"}

    def _volume(self, volume: str) -> str:
        """Return the volume; nginx.conf gets the ports of this run."""
        source, _, rest = volume.partition(":")
        if not source.startswith("./"):
            return volume
        path = ROOT / source
        if path.name == "nginx.conf":
            text = path.read_text()
            for name in ("api-1:8080", "api-2:8080"):
                text = text.replace(name, f"127.0.0.1:{self.ports[name]}")
            port = self.ports["nginx:8080"]
            path = self._directory / "nginx.conf"
            path.write_text(text.replace("listen 8080", f"listen 127.0.0.1:{port}"))
        return f"{path}:{rest}"

    def _is_ready(self, name: str) -> bool:
        if f"{name}:8080" in self.ports:
            path = "/health/live" if name == "nginx" else "/health/ready"
            return _answers(f"{self.url(name)}{path}")
        try:
            self._docker("exec", name, "test", "-s", "/tmp/ready")
        except SystemExit:
            return False
        return True


def _answers(url: str) -> bool:
    try:
        return httpx.get(url, timeout=10, trust_env=False).is_success
    except httpx.TransportError:
        return False
