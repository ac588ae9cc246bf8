"""A real Apache Kafka for tests: one node for the whole session, topics of its own for each run."""

import ctypes
import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

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


class KafkaNode:
    """A broker process that a test may kill and start again on its directory."""

    def __init__(self, directory: Path) -> None:
        port, controller_port = free_ports(2)
        self.node = Node(directory, port, controller_port)
        self.bootstrap = f"127.0.0.1:{port}"
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def environ(self) -> dict[str, str]:
        return {env.KAFKA: self.bootstrap}

    def start(self) -> None:
        argv = command(self.node)
        with (self.node.directory / "node.log").open("ab") as log:
            self._process = subprocess.Popen(
                argv,
                stdout=log,
                stderr=log,
                preexec_fn=die_with_parent,  # noqa: PLW1509 - before any thread
            )
        wait_for_port(self.node.port)
        admin = AdminClient({"bootstrap.servers": self.bootstrap})
        wait_for_kafka(admin, _START_S)
        ensure_topics(admin, n_partitions=N_PARTITIONS, replication=1)

    @property
    def alive(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def kill(self) -> None:
        assert self._process is not None
        os.kill(self._process.pid, signal.SIGKILL)
        self._process.wait()

    def stop(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()


@pytest.fixture(scope="session")
def kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[KafkaNode]:
    """Apache Kafka with Framewire's topics, shared by the session: use task ids of your own."""
    node = KafkaNode(tmp_path_factory.mktemp("kafka"))
    node.start()
    yield node
    node.stop()
