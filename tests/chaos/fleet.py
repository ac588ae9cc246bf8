"""All of Framewire as processes that may be killed: whatever ends is started again."""

import os
import secrets
import signal
import subprocess
import sys
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

import httpx

from api.settings import RING_BYTES
from streamproc.contract import env
from tests.chaos.kafka import ProxiedKafka
from tests.chaos.proxy import FaultProxy
from tests.engines import S3Server
from tests.ports import die_with_parent, free_ports
from tests.s3_faults import S3FaultProxy

_RESTART_S = 0.5
ADMIN_KEY = secrets.token_hex(16)


@dataclass
class Member:
    """One process of the fleet: how it is started, and what it is now."""

    name: str
    argv: list[str]
    environ: dict[str, str]
    log: Path
    process: subprocess.Popen[bytes] | None = None
    frozen: bool = False
    starts: int = 0

    def start(self) -> None:
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                self.argv,
                env={**os.environ, **self.environ},
                stdout=log,
                stderr=log,
                preexec_fn=die_with_parent,  # noqa: PLW1509 - see `Fleet`: one thread starts all
            )
        self.frozen = False
        self.starts += 1

    @property
    def alive(self) -> bool:
        return self.process is not None and self.process.poll() is None

    def send(self, signum: int) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(signum)
            if signum in (signal.SIGSTOP, signal.SIGCONT):
                self.frozen = signum == signal.SIGSTOP


@dataclass
class Fleet:
    """The members and the thread that keeps them alive: no human is needed."""

    kafka: ProxiedKafka
    s3: S3Server
    directory: Path
    n_workers: int = 3
    clickhouse_port: int | None = None
    """A ClickHouse server; None: chDB, with the index in the first api."""
    private_hosts: str = ""
    """Where sources of tests may be fetched from."""
    session_timeout_s: int = 3
    """How long Kafka waits for a worker that does not beat."""
    members: dict[str, Member] = field(default_factory=dict)
    api_ports: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        self._stopping = threading.Event()
        self.s3_faults = S3FaultProxy(int(self.s3.endpoint.rsplit(":", 1)[1]))
        self.s3_proxy = FaultProxy(self.s3_faults.port)
        self.api_ports = tuple(free_ports(2))
        common = {
            **self.kafka.environ,
            **self.s3.environ,
            env.S3_ENDPOINT: f"http://127.0.0.1:{self.s3_proxy.port}",
            env.FILE_ROOTS: "/",
            env.PRIVATE_HOSTS: self.private_hosts,
            env.SLICE_S: "1",
            env.SESSION_TIMEOUT_S: str(self.session_timeout_s),
            env.ADMIN_KEY: ADMIN_KEY,
            env.TOKEN_SECRET: "chaos",
            RING_BYTES: str(1024 * 1024),
        }
        python = [sys.executable, "-m"]
        urls = [self._chdb(number) for number in (1, 2)]
        if self.clickhouse_port is not None:
            self.clickhouse_proxy = FaultProxy(self.clickhouse_port)
            urls = 2 * [f"http://127.0.0.1:{self.clickhouse_proxy.port}/chaos"]
            index = {**common, env.CLICKHOUSE: urls[0]}
            self._add("index-1", [*python, "streamproc", "index"], index)
        for number, (port, url) in enumerate(zip(self.api_ports, urls, strict=True), 1):
            index_in_api = number == 1 and self.clickhouse_port is None
            self._add(
                f"api-{number}",
                [*python, "api"],
                {
                    **common,
                    env.PORT: str(port),
                    env.CLICKHOUSE: url,
                    env.INDEX_IN_API: str(int(index_in_api)),
                },
            )
        for number in range(1, 3):
            self._add(f"archive-{number}", [*python, "streamproc", "archive"], common)
        for number in range(1, self.n_workers + 1):
            name = f"worker-{number}"
            self._add(name, [*python, "streamproc", "worker"], {**common, env.WORKER_ID: name})

    @property
    def clickhouse(self) -> str:
        """Where the rows are, past any proxy."""
        if self.clickhouse_port is None:
            return self._chdb(1)
        return f"http://127.0.0.1:{self.clickhouse_port}/chaos"

    def start(self, timeout_s: float = 180.0) -> None:
        self._keeper = threading.Thread(target=self._keep, daemon=True)
        self._keeper.start()
        deadline = time.monotonic() + timeout_s
        for port in self.api_ports:
            while not self._answers(port):
                if time.monotonic() > deadline:
                    raise AssertionError(f"the api on port {port} did not come up")
                time.sleep(0.2)

    @property
    def kept(self) -> bool:
        """Whether somebody still starts what ends: a harness that failed must not look patient."""
        return self._keeper.is_alive()

    def stop(self) -> None:
        self._stopping.set()
        self._keeper.join()
        for member in self.members.values():
            member.send(signal.SIGCONT)
            member.send(signal.SIGTERM)
        for member in self.members.values():
            if member.process is not None:
                try:
                    member.process.wait(20)
                except subprocess.TimeoutExpired:
                    member.process.kill()
                    member.process.wait()
        self.s3_proxy.close()
        self.s3_faults.close()
        if self.clickhouse_port is not None:
            self.clickhouse_proxy.close()

    def api_url(self, number: int) -> str:
        return f"http://127.0.0.1:{self.api_ports[number % len(self.api_ports)]}"

    def _chdb(self, number: int) -> str:
        return f"chdb://{self.directory}/chdb-{number}?database=chaos"

    def _add(self, name: str, argv: list[str], environ: dict[str, str]) -> None:
        self.members[name] = Member(name, argv, environ, self.directory / f"{name}.log")

    def _keep(self) -> None:
        """Start what is not alive. All children are this thread's, so they die with it."""
        while not self._stopping.wait(_RESTART_S):
            for member in self.members.values():
                if not member.alive:
                    member.start()
            if not self.kafka.alive:
                self.kafka.launch()

    def _answers(self, port: int) -> bool:
        try:
            return httpx.get(f"http://127.0.0.1:{port}/health/live", timeout=1).status_code == 200
        except httpx.HTTPError:
            return False
