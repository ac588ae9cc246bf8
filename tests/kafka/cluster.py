"""Brokers as processes that a test kills and starts again, and a producer that knows its acks."""

import json
import os
import signal
import subprocess
import threading
import time
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import Self

from confluent_kafka import Consumer, KafkaError, Message, Producer, TopicPartition
from confluent_kafka.admin import AdminClient

from streamproc.clients.kafka import KafkaSettings, client_config, producer_config
from streamproc.clients.topic_admin import ensure_topics, wait_for_kafka
from streamproc.contract import env
from streamproc.contract.topics import CHUNKS
from streamproc.embedded_kafka.jars import class_path
from streamproc.embedded_kafka.node import Node, cluster_id, command, prepare
from tests.ports import die_with_parent, free_ports, wait_for_port

START_S = 60.0
N_PARTITIONS = 2
_QUORUM = "__cluster_metadata-0"
_BURST, _BURST_S = 5, 0.02


class Cluster:
    """`n_nodes` brokers, each its own controller, with Framewire's topics on them."""

    def __init__(self, directory: Path, n_nodes: int) -> None:
        ports = free_ports(2 * n_nodes)
        ids = range(1, n_nodes + 1)
        controllers = dict(zip(ids, ports[n_nodes:], strict=True))
        self._cluster_id = cluster_id(uuid.uuid4().bytes)
        self.nodes = {
            i: Node(
                directory / f"node-{i}",
                ports[i - 1],
                controllers[i],
                node_id=i,
                controllers=controllers if n_nodes > 1 else {},
            )
            for i in ids
        }
        self._processes: dict[int, subprocess.Popen[bytes]] = {}

    @property
    def environ(self) -> dict[str, str]:
        return {env.KAFKA: ",".join(f"127.0.0.1:{node.port}" for node in self.nodes.values())}

    @cached_property
    def admin(self) -> AdminClient:
        return AdminClient(client_config(KafkaSettings.from_environ(self.environ)))

    def __enter__(self) -> Self:
        try:
            self._begin()
        except BaseException:
            self._end()
            raise
        return self

    def _begin(self) -> None:
        classes = class_path()
        with ThreadPoolExecutor(len(self.nodes)) as threads:
            list(threads.map(lambda node: self._prepare(node, classes), self.nodes.values()))
        for i in self.nodes:
            self.start(i)
        for node in self.nodes.values():
            wait_for_port(node.port)
        admin = self.admin
        wait_for_kafka(admin, START_S)
        wait(lambda: len(admin.list_topics(timeout=5).brokers) == len(self.nodes))
        ensure_topics(admin, n_partitions=N_PARTITIONS, replication=len(self.nodes))

    def __exit__(
        self,
        kind: type[BaseException] | None,
        exc: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._end()

    def _end(self) -> None:
        for process in self._processes.values():
            process.kill()
            process.wait()

    def _prepare(self, node: Node, classes: str) -> None:
        prepare(node, classes, cluster_id=self._cluster_id)

    def start(self, node_id: int) -> None:
        """Start a node on its directory, again or for the first time."""
        node = self.nodes[node_id]
        argv = command(node, cluster_id=self._cluster_id)
        with (node.directory / "node.log").open("ab") as log:
            self._processes[node_id] = subprocess.Popen(
                argv,
                stdout=log,
                stderr=log,
                preexec_fn=die_with_parent,  # noqa: PLW1509 - librdkafka's threads hold no lock of ours
            )

    def kill(self, node_id: int) -> None:
        process = self._processes[node_id]
        os.kill(process.pid, signal.SIGKILL)
        process.wait()

    def restart(self, node_id: int) -> None:
        """Start a killed node and return once every partition has all its replicas in sync."""
        self.start(node_id)
        wait_for_port(self.nodes[node_id].port)
        wait(self.in_sync)

    def in_sync(self) -> bool:
        topics = self.admin.list_topics(timeout=5).topics
        return all(
            len(partition.isrs) == len(self.nodes)
            for name, topic in topics.items()
            if name.startswith("video.")
            for partition in topic.partitions.values()
        )

    def leader(self, partition: int) -> int:
        return int(
            self.admin.list_topics(CHUNKS, timeout=5).topics[CHUNKS].partitions[partition].leader
        )

    def controller(self) -> int:
        """Return the node that leads the metadata quorum, as the nodes have it on disk."""
        states = [
            json.loads((node.directory / "logs" / _QUORUM / "quorum-state").read_text())
            for node in self.nodes.values()
        ]
        return int(max(states, key=lambda state: state["leaderEpoch"])["leaderId"])


class SteadyProducer:
    """Produces numbered records to one partition from a thread, 5 of them every 20 ms.

    Its thread, which shares the processor with the brokers, sleeps in between.
    """

    def __init__(self, environ: dict[str, str], partition: int) -> None:
        self._producer = Producer(
            producer_config(client_config(KafkaSettings.from_environ(environ)))
        )
        self._partition = partition
        self._stop = threading.Event()
        self._changed = threading.Condition()
        self.acked: list[int] = []
        self.failed: list[KafkaError] = []
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def wait_acked(self, n_more: int) -> None:
        """Return once so many records more than now are acknowledged."""
        with self._changed:
            wanted = len(self.acked) + n_more
            assert self._changed.wait_for(lambda: len(self.acked) >= wanted, START_S)

    def is_stuck(self, *, for_s: float) -> bool:
        """Whether a time comes, within a minute, in which nothing is acknowledged for so long."""
        deadline_s = time.monotonic() + START_S
        with self._changed:
            while time.monotonic() < deadline_s:
                if not self._changed.wait(for_s):
                    return True
        return False

    def finish(self) -> list[int]:
        """Stop, and return the numbers that were acknowledged, in the order of their acks."""
        self._stop.set()
        self._thread.join()
        assert self._producer.flush(START_S) == 0
        assert self.failed == []
        return self.acked

    def _run(self) -> None:
        number = 0
        while not self._stop.is_set():
            for _ in range(_BURST):
                self._producer.produce(
                    CHUNKS,
                    value=b"%d" % number,
                    key=b"vt_steady",
                    partition=self._partition,
                    on_delivery=self._delivered(number),
                )
                number += 1
            self._producer.poll(0)
            self._stop.wait(_BURST_S)

    def _delivered(self, number: int) -> Callable[[KafkaError | None, Message], None]:
        def report(error: KafkaError | None, _: Message) -> None:
            with self._changed:
                if error is None:
                    self.acked.append(number)
                else:
                    self.failed.append(error)
                self._changed.notify_all()

        return report


def read_all(environ: dict[str, str], partition: int) -> list[int]:
    """Return the numbers of a partition's records, in their order there."""
    consumer = Consumer(
        {
            **client_config(KafkaSettings.from_environ(environ)),
            "group.id": "reader",
            "enable.auto.commit": False,
        }
    )
    place = TopicPartition(CHUNKS, partition, 0)
    _, end = consumer.get_watermark_offsets(place, timeout=30)
    consumer.assign([place])
    numbers: list[int] = []
    position = 0
    while position < end:
        for message in consumer.consume(1000, timeout=1.0):
            assert message.error() is None
            numbers.append(int(message.value() or b""))
            position = (message.offset() or 0) + 1
    consumer.close()
    return numbers


def wait(condition: Callable[[], bool]) -> None:
    """Return once the condition holds; what Kafka does not answer yet does not hold yet."""
    gate = threading.Event()
    for _ in range(int(START_S / 0.2)):
        if condition():
            return
        gate.wait(0.2)
    raise AssertionError("it did not come to pass")
