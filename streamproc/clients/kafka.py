"""Configuration of librdkafka clients, the same in every process."""

import json
import logging
from collections.abc import Mapping
from typing import Any

from confluent_kafka import Consumer, Message

from streamproc.contract import env
from streamproc.contract.setting_error import SettingError
from streamproc.contract.topics import MAX_MESSAGE_BYTES

_QUIET = logging.getLogger("librdkafka")


def client_config(environ: Mapping[str, str]) -> dict[str, Any]:
    """Return the properties that every client shares. Raises `SettingError`."""
    if not environ.get(env.KAFKA):
        raise SettingError(f"{env.KAFKA} must name the Kafka bootstrap servers")
    return shared_config(environ[env.KAFKA], read_kafka_options(environ))


def shared_config(bootstrap: str, options: Mapping[str, Any]) -> dict[str, Any]:
    """Return the properties that every client shares; the operator's `options` replace ours."""
    return {
        "bootstrap.servers": bootstrap,
        "logger": _QUIET,
        "socket.keepalive.enable": True,
        "reconnect.backoff.ms": 50,
        "reconnect.backoff.max.ms": 1000,
        "topic.metadata.refresh.interval.ms": 10_000,
        **options,
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
        "fetch.wait.max.ms": 500,
        "queued.max.messages.kbytes": 2048,
    }


def consumer_config(
    shared: Mapping[str, Any],
    group: str,
    *,
    batching: bool = False,
    low_latency: bool = False,
) -> dict[str, Any]:
    """Return the properties of a group's member: commits by hand alone, small buffers.

    The broker answers as soon as there is a record, however long a fetch may wait. A `batching`
    consumer lets records gather there for a quarter of a second, which costs every client less and
    suits consumers that write in batches. A `low_latency` consumer changes its assignment often,
    and a fetch that waits would delay the next one.
    """
    return {
        **reader_config(shared, group),
        "session.timeout.ms": 6000,
        "heartbeat.interval.ms": 1500,
        "fetch.wait.max.ms": 250 if batching else 50 if low_latency else 500,
        "fetch.min.bytes": 64 * 1024 if batching else 1,
        "fetch.message.max.bytes": MAX_MESSAGE_BYTES,
        "partition.assignment.strategy": "cooperative-sticky",
    }


def poll_batch(consumer: Consumer, timeout_s: float, limit: int = 500) -> list[Message]:
    """Return what has arrived, as soon as that is anything; nothing after `timeout_s`.

    `Consumer.consume` alone waits until it has its number of messages or the time is over.
    """
    first = consumer.poll(timeout_s)
    return [] if first is None else [first, *consumer.consume(limit - 1, timeout=0)]


def read_kafka_options(environ: Mapping[str, str]) -> dict[str, Any]:
    """Return the properties, none when the variable is not set or empty.

    Raises `SettingError`.
    """
    try:
        options = json.loads(environ.get(env.KAFKA_OPTIONS) or "{}")
    except ValueError as exc:
        raise SettingError(f"{env.KAFKA_OPTIONS} must be JSON") from exc
    if not isinstance(options, dict):
        raise SettingError(f"{env.KAFKA_OPTIONS} must be a JSON object")
    return options
