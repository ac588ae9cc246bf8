"""A real Apache Kafka for tests: one node for each process of a run, new topics for each module."""

import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

import pytest
from confluent_kafka import ConsumerGroupState
from confluent_kafka.admin import AdminClient

from streamproc.clients.kafka import KafkaSettings
from streamproc.clients.topic_admin import ensure_topics, wait_for_kafka
from streamproc.contract import env
from streamproc.contract.topics import POLICIES
from streamproc.embedded_kafka.node import Node, command
from streamproc.errors import BrokerError
from tests.class_cache import use_class_cache
from tests.ports import die_with_parent, free_ports, wait_for_port

N_PARTITIONS = 4
_START_S = 60.0
_EMPTY_S = 30.0


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

    @property
    def settings(self) -> KafkaSettings:
        return KafkaSettings(self.bootstrap)

    def start(self) -> None:
        """Start it, wait until it answers, and make the topics."""
        self.launch()
        self._wait_for_port()
        admin = AdminClient({"bootstrap.servers": self.bootstrap})
        wait_for_kafka(admin, _START_S)
        ensure_topics(admin, n_partitions=N_PARTITIONS, replication=1)

    def _wait_for_port(self) -> None:
        try:
            wait_for_port(self.node.port, while_=lambda: self.alive)
        except ConnectionRefusedError as exc:
            raise BrokerError((self.node.directory / "node.log").read_text()[-2000:]) from exc

    def launch(self) -> None:
        """Start the process, and wait for nothing: it may be killed again before it answers."""
        use_class_cache()
        argv = command(self.node)
        with (self.node.directory / "node.log").open("ab") as log:
            self._process = subprocess.Popen(
                argv,
                stdout=log,
                stderr=log,
                preexec_fn=die_with_parent,  # noqa: PLW1509 - one system call, no lock
            )

    def renew(self) -> None:
        """Make all topics anew, and forget every group: what was in them is gone for good.

        Members that were killed are waited for until their session has ended: they would still own
        partitions of a group that the next module joins.
        """
        admin = AdminClient({"bootstrap.servers": self.bootstrap})
        self._forget_groups(admin)
        self.delete_topics(admin)
        ensure_topics(admin, n_partitions=N_PARTITIONS, replication=1)

    @staticmethod
    def delete_topics(admin: AdminClient) -> None:
        """Return once they are gone."""
        names = [policy.name for policy in POLICIES]
        for future in admin.delete_topics(names, operation_timeout=10).values():
            future.result()
        deadline_s = time.monotonic() + _EMPTY_S
        while set(names) & set(admin.list_topics(timeout=10).topics):
            assert time.monotonic() < deadline_s, "the topics are still there"
            time.sleep(0.01)

    @staticmethod
    def _forget_groups(admin: AdminClient) -> None:
        deadline_s = time.monotonic() + _EMPTY_S
        while True:
            groups = admin.list_consumer_groups(request_timeout=10).result().valid
            ended = (ConsumerGroupState.EMPTY, ConsumerGroupState.DEAD)
            left = [group.group_id for group in groups if group.state not in ended]
            if not left:
                break
            assert time.monotonic() < deadline_s, f"groups with members: {left}"
            time.sleep(0.1)
        names = [group.group_id for group in groups]
        for future in (admin.delete_consumer_groups(names) if names else {}).values():
            future.result()

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
def broker(engines: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[KafkaNode]:
    """The process's Apache Kafka: tests ask for `kafka`."""
    node = _started(tmp_path_factory)
    yield node
    node.stop()


def _started(tmp_path_factory: pytest.TempPathFactory, attempts: int = 3) -> KafkaNode:
    """Return a broker that runs. Another program may take a port before the broker does."""
    node = KafkaNode(tmp_path_factory.mktemp("kafka"))
    try:
        node.start()
    except BrokerError as exc:
        if attempts == 1 or "Address already in use" not in str(exc):
            raise
        return _started(tmp_path_factory, attempts - 1)
    return node


@pytest.fixture(scope="module")
def kafka(broker: KafkaNode) -> KafkaNode:
    """Apache Kafka with Framewire's topics, made for the module."""
    broker.renew()
    return broker
