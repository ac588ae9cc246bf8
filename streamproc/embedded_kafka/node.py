"""One node of an embedded Apache Kafka (KRaft): settings, format, command line.

The data directory holds `server.properties`, the logs and the cluster id; a second start on the
same directory continues with its data. Several nodes with the same `controllers` and the same
cluster id form a replicated cluster.
"""

import base64
import os
import subprocess
import uuid
from dataclasses import dataclass, field
from pathlib import Path

from streamproc.contract.topics import MAX_MESSAGE_BYTES
from streamproc.embedded_kafka.jars import class_path, java
from streamproc.errors import BrokerError

_FORMAT_TIMEOUT_S = 60
_LOGGING = (
    "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn",
    "-Dorg.slf4j.simpleLogger.showDateTime=true",
    "-Dorg.slf4j.simpleLogger.dateTimeFormat=yyyy-MM-dd'T'HH:mm:ss.SSSZ",
)


@dataclass(frozen=True, slots=True)
class Node:
    """Configuration of a node.

    `controllers` maps every node id to its controller port, this node's included. `more` are
    further lines of `server.properties`, which override ours: for example a listener for other
    networks.
    """

    directory: Path
    port: int
    controller_port: int
    node_id: int = 1
    controllers: dict[int, int] = field(default_factory=dict)
    heap_mib: int = 256
    more: dict[str, str] = field(default_factory=dict)

    @property
    def quorum(self) -> dict[int, int]:
        return self.controllers or {self.node_id: self.controller_port}


def properties(node: Node) -> dict[str, str]:
    """Return `server.properties`: loopback only, durable, fast detection of a dead broker."""
    n_nodes = len(node.quorum)
    replicas = min(3, n_nodes)
    return {
        "process.roles": "broker,controller",
        "node.id": str(node.node_id),
        "listeners": f"PLAINTEXT://127.0.0.1:{node.port},"
        f"CONTROLLER://127.0.0.1:{node.controller_port}",
        "advertised.listeners": f"PLAINTEXT://127.0.0.1:{node.port},"
        f"CONTROLLER://127.0.0.1:{node.controller_port}",
        "controller.listener.names": "CONTROLLER",
        "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
        "controller.quorum.bootstrap.servers": ",".join(
            f"127.0.0.1:{port}" for port in node.quorum.values()
        ),
        "log.dirs": str(node.directory / "logs"),
        "auto.create.topics.enable": "false",
        "offsets.topic.replication.factor": str(replicas),
        "offsets.topic.num.partitions": "8",
        "transaction.state.log.replication.factor": str(replicas),
        "transaction.state.log.num.partitions": "4",
        "share.coordinator.state.topic.replication.factor": str(replicas),
        "transaction.state.log.min.isr": str(max(1, replicas - 1)),
        "share.coordinator.state.topic.min.isr": str(max(1, replicas - 1)),
        "min.insync.replicas": str(max(1, replicas - 1)),
        "group.initial.rebalance.delay.ms": "0",
        "group.min.session.timeout.ms": "1000",
        "broker.session.timeout.ms": "3000",
        "broker.heartbeat.interval.ms": "500",
        "metadata.max.idle.interval.ms": "5000",  # an idle node writes ten times less
        "message.max.bytes": str(MAX_MESSAGE_BYTES),
        "replica.fetch.max.bytes": str(MAX_MESSAGE_BYTES),
        "num.network.threads": "2",
        "num.io.threads": "4",
        "log.cleaner.dedupe.buffer.size": str(4 * 1024 * 1024),
        "log.segment.bytes": str(128 * 1024 * 1024),
        **node.more,
    }


def prepare(node: Node, classes: str, *, cluster_id: str | None = None) -> Path:
    """Write the settings, format a new directory, and return the path of the settings.

    Raises `BrokerError` when formatting fails.
    """
    node.directory.mkdir(parents=True, exist_ok=True)
    settings = node.directory / "server.properties"
    settings.write_text("".join(f"{k}={v}\n" for k, v in properties(node).items()))
    if (node.directory / "logs" / "meta.properties").exists():
        return settings
    quorum = node.quorum
    standalone = ["--standalone"]
    if len(quorum) > 1:
        standalone = ["--initial-controllers", _initial_controllers(quorum)]
    command = [
        *_java(classes, heap_mib=128),
        "kafka.tools.StorageTool",
        "format",
        *standalone,
        "--ignore-formatted",
        f"--cluster-id={cluster_id or _uuid(uuid.uuid4().bytes)}",  # the id may begin with a dash
        "-c",
        str(settings),
    ]
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=_FORMAT_TIMEOUT_S, check=False
    )
    if done.returncode != 0:
        raise BrokerError(f"formatting Kafka's directory failed: {done.stderr.strip()[-500:]}")
    return settings


def command(node: Node, *, cluster_id: str | None = None) -> list[str]:
    """Prepare the node's directory and return the command that runs the node."""
    classes = class_path()
    settings = prepare(node, classes, cluster_id=cluster_id)
    return [*_java(classes, node.heap_mib), "kafka.Kafka", str(settings)]


def run(node: Node, *, cluster_id: str | None = None) -> None:
    """Replace this process by the broker (`execv` of Java); the pid stays the same."""
    argv = command(node, cluster_id=cluster_id)
    os.execv(argv[0], argv)  # noqa: S606 - a fixed command, no shell


def cluster_id(seed: bytes) -> str:
    """Return the cluster id for 16 bytes; all nodes derive the same id from the same bytes."""
    return _uuid(seed)


def _java(classes: str, heap_mib: int) -> list[str]:
    return [
        str(java()),
        f"-Xmx{heap_mib}m",
        "-XX:+UseSerialGC",
        "-XX:TieredStopAtLevel=1",
        "-XX:+ExitOnOutOfMemoryError",
        "--enable-native-access=ALL-UNNAMED",
        "--sun-misc-unsafe-memory-access=allow",
        *_LOGGING,
        "-cp",
        classes,
    ]


def _initial_controllers(quorum: dict[int, int]) -> str:
    return ",".join(
        f"{node_id}@127.0.0.1:{port}:{_uuid(uuid.uuid5(uuid.NAMESPACE_OID, f'fw-{node_id}').bytes)}"
        for node_id, port in quorum.items()
    )


def _uuid(data: bytes) -> str:
    """Return 16 bytes in Kafka's text form of a UUID (URL-safe base64, no padding)."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
