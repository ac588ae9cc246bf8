"""A whole stack of real processes for clients: Kafka, S3, the archive, an api, a worker."""

import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

from api.settings import CORS_ORIGINS
from streamproc.contract import env
from tests.brokers import KafkaNode
from tests.engines import S3Server
from tests.forked import ForkedProcess, fork_program
from tests.ports import free_ports
from tests.workers import WorkerProcess, workers

ADMIN_KEY = "admin key of the clients"
_START_S = 60.0


class Process:
    """A program as a process of its own (`tests.forked`) that a test may kill and start again."""

    def __init__(
        self, module: str, arguments: list[str], environ: dict[str, str], log: Path
    ) -> None:
        self.log = log
        self._module, self._arguments = module, arguments
        self._environ = {
            **{k: v for k, v in os.environ.items() if not k.startswith("FRAMEWIRE_")},
            **environ,
        }
        self._process: ForkedProcess | None = None

    def start(self) -> None:
        self._process = fork_program(self._module, self._arguments, self._environ, self.log)

    def kill(self) -> None:
        """End it with SIGKILL, so that it cannot tidy up."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()


class Stack:
    """`api` listens on one port for ever, however often it is killed."""

    def __init__(self, kafka: KafkaNode, s3: S3Server, directory: Path, **api: str) -> None:
        self.kafka = kafka
        (port,) = free_ports(1)
        self.url = f"http://127.0.0.1:{port}"
        common = {**kafka.environ, **s3.environ}
        self.api = Process(
            "api.__main__",
            [],
            {
                **common,
                env.CLICKHOUSE: f"chdb://{directory / 'chdb'}",
                env.PORT: str(port),
                env.INDEX_IN_API: "1",
                env.ADMIN_KEY: ADMIN_KEY,
                env.TOKEN_SECRET: "signs the tokens of the tests",
                env.LOG: "warning",
                **api,
            },
            directory / "api.log",
        )
        self._archive = Process(
            "streamproc.__main__", ["archive"], common, directory / "archive.log"
        )
        self.http = httpx.Client(base_url=self.url, timeout=30, trust_env=False)
        self.key = ""
        self.worker: WorkerProcess

    def start(self) -> None:
        self._archive.start()
        self.api.start()
        self.wait_for_api()
        admin = {"Authorization": f"Bearer {ADMIN_KEY}"}
        made = self.http.post("/v1/admin/projects", json={"name": "clients"}, headers=admin)
        body = {"project": made.raise_for_status().json()["id"]}
        made = self.http.post("/v1/admin/keys", json=body, headers=admin)
        self.key = made.raise_for_status().json()["key"]
        self.http.headers["Authorization"] = f"Bearer {self.key}"

    def stop(self) -> None:
        self.http.close()
        self.api.kill()
        self._archive.kill()

    def wait_for_api(self) -> None:
        """Return once the api is ready."""
        deadline_s = time.monotonic() + _START_S
        while True:
            try:
                if self.http.get("/health/ready").status_code == 200:
                    return
            except httpx.TransportError:
                pass
            if time.monotonic() > deadline_s:
                raise AssertionError(f"the api is not ready:\n{self.api.log.read_text()[-3000:]}")
            time.sleep(0.05)

    def submit(self, clip: Path, **source: Any) -> str:
        """Submit a task that detects on every frame; return its id."""
        body = {
            "input": [
                {
                    "type": "video_url",
                    "url": clip.as_uri(),
                    "sampling": {"mode": "interval", "value": 1},
                    **source,
                }
            ],
            "steps": [{"model": "detect"}],
        }
        task: str = self.http.post("/v1/video/process", json=body).raise_for_status().json()["id"]
        return task

    def token_url(self, task: str) -> str:
        """Return the task's stream with a signed token, for clients that send no headers."""
        made = self.http.post(f"/v1/video/tasks/{task}/token").raise_for_status().json()
        return self.url + str(made["stream_url"])

    def length(self, task: str) -> int:
        """Return how many bytes the task's log has now."""
        head = self.http.head(f"/v1/video/tasks/{task}/stream").raise_for_status()
        return int(head.headers["stream-next-offset"])

    def whole_log(self, task: str) -> bytes:
        """Return the finished log; waits for its end."""
        with self.http.stream("GET", f"/v1/video/tasks/{task}/stream", timeout=120) as answer:
            return b"".join(answer.raise_for_status().iter_raw())


@contextmanager
def running_stack(
    kafka: KafkaNode, s3: S3Server, directory: Path, *, cors_origin: str = "", **worker: str
) -> Iterator[Stack]:
    """Start everything, the worker last; `worker` are settings of it."""
    stack = Stack(kafka, s3, directory, **{CORS_ORIGINS: cors_origin})
    settings = {**s3.environ, env.SLICE_S: "1", **worker}
    try:
        stack.start()
        with workers(kafka, directory, "reader", **settings) as (stack.worker,):
            yield stack
    finally:
        stack.stop()


def pause(worker: WorkerProcess) -> None:
    """Stop the worker where it stands; `resume` lets it go on."""
    worker.send(signal.SIGSTOP)


def resume(worker: WorkerProcess) -> None:
    worker.send(signal.SIGCONT)
