"""Kafka children: Apache Kafka on one node, or librdkafka's in-process cluster; topic creation."""

import json
from collections.abc import Mapping, MutableMapping
from pathlib import Path

from console.stack.child_process import ChildSpec
from console.stack.ports import LOOPBACK
from console.stack.probes import Probe, listens
from console.stack.supervisor import Rules
from streamproc.contract import env

NAME = "kafka"
TOPICS = "topics"
PORTS = ("kafka", "kafka-controller")
EXIT_NO_JARS = 3  # of `python -m streamproc broker`
MEMORY_PARTITIONS = 4  # of every topic of the in-process cluster
SESSION_TIMEOUT_S = "3"  # allowed by the embedded broker; others may require 6
_START_DEADLINE_S = 240.0  # the first start resolves the jars


def embedded(
    directory: Path,
    ports: Mapping[str, int],
    python: list[str],
    environ: Mapping[str, str],
) -> ChildSpec:
    """Return the child of Apache Kafka on one node, with durable data in `directory`."""
    return ChildSpec(
        rules=Rules(
            NAME,
            fatal_codes=frozenset({EXIT_NO_JARS}),
            start_deadline_s=_START_DEADLINE_S,
            stop_deadline_s=15.0,
        ),
        command=[
            *python,
            "streamproc",
            "broker",
            f"--data={directory}",
            f"--port={ports['kafka']}",
            f"--controller-port={ports['kafka-controller']}",
        ],
        environ=environ,
        probe=listens(ports["kafka"]),
    )


def memory(
    log: Path, python: list[str], environ: Mapping[str, str], shared: MutableMapping[str, str]
) -> ChildSpec:
    """Return the child of the in-process cluster. Once it runs, its address is put in `shared`.

    All records are in the memory of that process, so the stack ends with it.
    """
    return ChildSpec(
        rules=Rules(NAME, essential=True),
        command=[*python, "streamproc", "broker", "--memory"],
        environ=environ,
        probe=_announced(log, shared),
    )


def topics(
    python: list[str], environ: Mapping[str, str], *, after: tuple[str, ...], in_memory: bool
) -> ChildSpec:
    """Return the one-shot child that creates topics and checks existing ones."""
    return ChildSpec(
        rules=Rules(TOPICS, after=after, one_shot=True, start_deadline_s=90.0),
        command=[*python, "streamproc", "topics", *(["--memory"] if in_memory else [])],
        environ=environ,
    )


def address(ports: Mapping[str, int]) -> str:
    return f"{LOOPBACK}:{ports['kafka']}"


def _announced(log: Path, shared: MutableMapping[str, str]) -> Probe:
    def probe() -> bool:
        try:
            lines = log.read_text(errors="replace").splitlines()
        except OSError:
            return False
        for line in lines:
            if line.startswith('{"bootstrap"'):
                shared[env.KAFKA] = json.loads(line)["bootstrap"]
                return True
        return False

    return probe
