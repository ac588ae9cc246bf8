"""librdkafka client configuration: consumers and producers, the same in the whole package."""

import json
import logging
from collections.abc import Mapping
from typing import Any, Self

import msgspec
from confluent_kafka import Consumer, Message

from streamproc.contract import env
from streamproc.contract.setting_error import SettingError
from streamproc.contract.topics import MAX_MESSAGE_BYTES

WAIT_MS = 500
"""Longest time that the broker keeps a fetch for which it has nothing.

Whatever else a consumer asks that broker waits behind it: with 2 s the api was never ready in time.
"""
_QUIET = logging.getLogger("librdkafka")


class KafkaSettings(msgspec.Struct, frozen=True):
    """How clients reach Kafka. The repr shows no options, which may hold passwords."""

    bootstrap: str
    """Bootstrap servers: host:port, separated by commas."""
    options: Mapping[str, Any] = {}
    """Properties of librdkafka that the operator sets."""

    def __repr__(self) -> str:
        return f"KafkaSettings(bootstrap={self.bootstrap!r})"

    @classmethod
    def from_environ(cls, environ: Mapping[str, str]) -> Self:
        """Read the variables; raises `SettingError`, which names a missing or invalid one."""
        if not environ.get(env.KAFKA):
            raise SettingError(f"{env.KAFKA} must name the Kafka bootstrap servers")
        return cls(environ[env.KAFKA], read_kafka_options(environ))


def client_config(kafka: KafkaSettings) -> dict[str, Any]:
    """Return the properties that every client shares; the operator's options replace ours."""
    return {
        "bootstrap.servers": kafka.bootstrap,
        "logger": _QUIET,
        "socket.keepalive.enable": True,
        "reconnect.backoff.ms": 50,
        "reconnect.backoff.max.ms": 1000,
        "topic.metadata.refresh.interval.ms": 10_000,
        **kafka.options,
    }


def producer_config(
    shared: Mapping[str, Any], *, linger_ms: int = 60, timeout_ms: int = 120_000
) -> dict[str, Any]:
    """Return the properties of an idempotent producer: all replicas acknowledge, in order.

    By default records linger: one request for the frames of 60 ms costs the broker, and every
    follower of the topic, a fraction of what a request for each would.
    """
    return {
        **shared,
        "acks": "all",
        "enable.idempotence": True,
        "partitioner": "murmur2_random",
        "linger.ms": linger_ms,
        "message.max.bytes": MAX_MESSAGE_BYTES,
        "message.timeout.ms": timeout_ms,
    }


def reader_config(shared: Mapping[str, Any], group: str) -> dict[str, Any]:
    """Return the properties of a consumer that is assigned its partitions.

    It never joins the group and commits nothing: the group names it to the broker, and its
    committed offsets may be read.
    """
    return {
        **shared,
        "group.id": group,
        "enable.auto.commit": False,
        "enable.auto.offset.store": False,
        "auto.offset.reset": "earliest",
        "fetch.wait.max.ms": WAIT_MS,
        "queued.max.messages.kbytes": 2048,
    }


def consumer_config(
    shared: Mapping[str, Any],
    group: str,
    *,
    collect_ms: int = 0,
    low_latency: bool = False,
) -> dict[str, Any]:
    """Return a consumer's properties: manual commits only, small buffers.

    The broker answers as soon as there is a record, whatever the maximum wait of a fetch. With
    `collect_ms` it collects records for that time: this costs less on both sides, also when there
    are none, and suits consumers that write in batches. A `low_latency` consumer often changes its
    assignment, and a waiting fetch would delay the next one.
    """
    return {
        **reader_config(shared, group),
        "session.timeout.ms": 6000,
        "heartbeat.interval.ms": 1500,
        "fetch.wait.max.ms": collect_ms or (50 if low_latency else WAIT_MS),
        "fetch.min.bytes": 64 * 1024 if collect_ms else 1,
        "fetch.message.max.bytes": MAX_MESSAGE_BYTES,
        "partition.assignment.strategy": "cooperative-sticky",
    }


def poll_batch(consumer: Consumer, timeout_s: float, limit: int = 500) -> list[Message]:
    """Return the messages that have arrived, as soon as there is one; empty after `timeout_s`.

    `Consumer.consume` alone would wait until it has its number of messages or the time is over.
    """
    first = consumer.poll(timeout_s)
    return [] if first is None else [first, *consumer.consume(limit - 1, timeout=0)]


def read_kafka_options(environ: Mapping[str, str]) -> dict[str, Any]:
    """Parse the properties; none if the variable is not set or empty.

    Raises `SettingError`.
    """
    try:
        options = json.loads(environ.get(env.KAFKA_OPTIONS) or "{}")
    except ValueError as exc:
        raise SettingError(f"{env.KAFKA_OPTIONS} must be JSON") from exc
    if not isinstance(options, dict):
        raise SettingError(f"{env.KAFKA_OPTIONS} must be a JSON object")
    return options
