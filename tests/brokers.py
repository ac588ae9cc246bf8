"""A real Apache Kafka for tests: one node for the whole session, topics of its own for each run."""

import ctypes
import signal
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

import pytest
from confluent_kafka.admin import AdminClient

from streamproc.broker.node import Node, command
from streamproc.broker.topics import ensure_topics, wait_for_kafka
from streamproc.contract import env

N_PARTITIONS = 4
_START_S = 60.0


def free_ports(n: int) -> list[int]:
    """Return ports that nobody listens on; all are taken at once, so they differ."""
    sockets = [socket.socket() for _ in range(n)]
    try:
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]
    finally:
        for one in sockets:
            one.close()


def wait_for_port(port: int) -> None:
    """Return once somebody listens: librdkafka complains loudly as long as nobody does."""
    deadline = time.monotonic() + _START_S
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)
        else:
            return


def die_with_parent() -> None:
    """Make the kernel kill this child when the test process ends, however it ends."""
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)


class Listener(NamedTuple):
    """A further way into a broker: `name` in upper case, and the port that clients are told."""

    name: str
    port: int
    advertised_port: int
    protocol: str = "PLAINTEXT"
    more: Mapping[str, str] = MappingProxyType({})
    """Lines of `server.properties` of this listener's own, without its prefix."""


class KafkaNode:
    """A broker process that a test may kill and start again on its directory."""

    def __init__(self, directory: Path, *listeners: Listener) -> None:
        """`listeners` are beside the plain one that `bootstrap` names."""
        port, controller_port = free_ports(2)
        self.node = Node(
            directory, port, controller_port, more=_lines(port, controller_port, listeners)
        )
        self.bootstrap = f"127.0.0.1:{port}"
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def environ(self) -> dict[str, str]:
        return {env.KAFKA: self.bootstrap}

    def start(self) -> None:
        """Start it, wait until it answers, and make the topics."""
        self.launch()
        wait_for_port(self.node.port)
        admin = AdminClient({"bootstrap.servers": self.bootstrap})
        wait_for_kafka(admin, _START_S)
        ensure_topics(admin, n_partitions=N_PARTITIONS, replication=1)

    def launch(self) -> None:
        """Start the process, and wait for nothing: it may be killed again before it answers."""
        argv = command(self.node)
        with (self.node.directory / "node.log").open("ab") as log:
            self._process = subprocess.Popen(
                argv,
                stdout=log,
                stderr=log,
                preexec_fn=die_with_parent,  # noqa: PLW1509 - one system call, no lock
            )

    @property
    def alive(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def kill(self) -> None:
        assert self._process is not None
        self._process.kill()  # nothing when it has ended already
        self._process.wait()

    def stop(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()


def _lines(port: int, controller_port: int, listeners: Sequence[Listener]) -> dict[str, str]:
    """Return the lines of `server.properties` that `listeners` need, none without any."""
    if not listeners:
        return {}
    own = [Listener("PLAINTEXT", port, port), Listener("CONTROLLER", *2 * (controller_port,))]
    every = [*own, *listeners]
    return {
        "listeners": ",".join(f"{one.name}://127.0.0.1:{one.port}" for one in every),
        "advertised.listeners": ",".join(
            f"{one.name}://127.0.0.1:{one.advertised_port}" for one in every
        ),
        "listener.security.protocol.map": ",".join(f"{one.name}:{one.protocol}" for one in every),
        "inter.broker.listener.name": "PLAINTEXT",
        **{
            f"listener.name.{one.name.lower()}.{key}": value
            for one in listeners
            for key, value in one.more.items()
        },
    }


@pytest.fixture(scope="session")
def kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[KafkaNode]:
    """Apache Kafka with Framewire's topics, shared by the session: use task ids of your own."""
    node = KafkaNode(tmp_path_factory.mktemp("kafka"))
    node.start()
    yield node
    node.stop()
