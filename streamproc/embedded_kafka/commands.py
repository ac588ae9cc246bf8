"""Command line: `python -m streamproc broker` and `python -m streamproc topics`."""

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from confluent_kafka.admin import AdminClient

from streamproc.clients.kafka import KafkaSettings, client_config
from streamproc.clients.topic_admin import Troubles, ensure_topics, touch_topics, wait_for_kafka
from streamproc.contract import env
from streamproc.contract.audit import DEFAULT_DAYS
from streamproc.contract.setting_error import SettingError
from streamproc.contract.topics import DEFAULT_PARTITIONS
from streamproc.embedded_kafka import mock_cluster
from streamproc.embedded_kafka.errors import JarsUnavailableError
from streamproc.embedded_kafka.jars import are_cached, class_path
from streamproc.embedded_kafka.node import Node, run
from streamproc.errors import BrokerError

EXIT_NO_JARS = 3
_STARTUP_S = 60.0


def broker_main(argv: Sequence[str]) -> int:
    """Run the embedded broker in this process; exit code 3 if its jars cannot be resolved."""
    parser = argparse.ArgumentParser(prog="python -m streamproc broker")
    parser.add_argument("--data", type=Path, help="directory of the broker's logs")
    parser.add_argument("--port", type=int)
    parser.add_argument("--controller-port", type=int)
    parser.add_argument("--memory", action="store_true", help="librdkafka's in-process cluster")
    parser.add_argument("--resolve-only", action="store_true", help="fetch the jars and end")
    args = parser.parse_args(argv)
    if args.memory:
        mock_cluster.run()
    try:
        if args.resolve_only:
            if not are_cached():
                sys.stderr.write("fetching Apache Kafka's jars: 44 MB, once\n")
            class_path()
            return 0
        if args.data is None or args.port is None or args.controller_port is None:
            parser.error("--data, --port and --controller-port belong together")
        run(Node(args.data, args.port, args.controller_port))
    except JarsUnavailableError as exc:
        sys.stderr.write(f"{exc}\n")
        return EXIT_NO_JARS
    except BrokerError as exc:
        sys.stderr.write(f"{exc}\n")
        return 1
    return 0


def topics_main(argv: Sequence[str]) -> int:
    """Create and check the topics on the Kafka that the environment variables name."""
    parser = argparse.ArgumentParser(prog="python -m streamproc topics")
    parser.add_argument("--memory", action="store_true", help="the broker is the in-process one")
    args = parser.parse_args(argv)
    troubles = Troubles()
    try:
        config: dict[str, Any] = {
            **client_config(KafkaSettings.from_environ(os.environ)),
            "error_cb": troubles.hear,
        }
        admin = AdminClient(config)
    except SettingError as exc:
        sys.stderr.write(f"{exc}\n")
        return 2
    try:
        wait_for_kafka(admin, _STARTUP_S, troubles)
        if args.memory:
            touch_topics(admin)
        else:
            ensure_topics(
                admin,
                n_partitions=_count(env.PARTITIONS, DEFAULT_PARTITIONS),
                replication=_count(env.REPLICATION, 1),
                audit_days=_count(env.AUDIT_DAYS, DEFAULT_DAYS),
            )
    except BrokerError as exc:
        sys.stderr.write(f"{exc}\n")
        return 1
    return 0


def _count(name: str, default: int) -> int:
    """Return a positive integer from an environment variable.

    Raises `BrokerError`, which names the variable.
    """
    text = os.environ.get(name) or str(default)
    if not text.isdecimal() or int(text) < 1:
        raise BrokerError(f"{name} must be a whole number from 1 on")
    return int(text)
