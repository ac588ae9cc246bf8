"""librdkafka client configuration: consumers and producers, the same in the whole package."""

import json
import logging
from collections.abc import Mapping
from typing import Any

from confluent_kafka import Consumer, Message

from streamproc.contract import env
from streamproc.contract.topics import MAX_MESSAGE_BYTES

_QUIET = logging.getLogger("librdkafka")


class KafkaSettingsError(ValueError):
    """A variable is missing or invalid. The message names it, never its value."""


def client_config(environ: Mapping[str, str]) -> dict[str, Any]:
    """Return the properties common to all clients. Raises `KafkaSettingsError`."""
    if not environ.get(env.KAFKA):
        raise KafkaSettingsError(f"{env.KAFKA} must name the Kafka bootstrap servers")
    return {
        "bootstrap.servers": environ[env.KAFKA],
        "logger": _QUIET,
        "socket.keepalive.enable": True,
        "reconnect.backoff.ms": 50,
        "reconnect.backoff.max.ms": 1000,
        "topic.metadata.refresh.interval.ms": 10_000,
        **_options(environ),
    }


def producer_config(environ: Mapping[str, str]) -> dict[str, Any]:
    """Return an idempotent producer's properties: all acks, in order, exactly once per session.

    Records linger for 60 ms: one request for all frames of that time costs the broker and all
    consumers of the topic a fraction of one request per frame.
    """
    return {
        **client_config(environ),
        "acks": "all",
        "enable.idempotence": True,
        "partitioner": "murmur2_random",
        "linger.ms": 60,
        "message.max.bytes": MAX_MESSAGE_BYTES,
        "delivery.timeout.ms": 120_000,
    }


def consumer_config(
    environ: Mapping[str, str],
    group: str,
    *,
    batching: bool = False,
    low_latency: bool = False,
) -> dict[str, Any]:
    """Return a consumer's properties: manual commits only, small buffers.

    The broker answers as soon as there is a record, whatever the maximum wait of a fetch. For a
    `batching` consumer the broker collects records for a quarter of a second: this costs less on
    both sides, and suits consumers that write in batches. A `low_latency` consumer often changes
    its assignment, and a waiting fetch would delay the next one.
    """
    return {
        **client_config(environ),
        "group.id": group,
        "enable.auto.commit": False,
        "enable.auto.offset.store": False,
        "auto.offset.reset": "earliest",
        "session.timeout.ms": 6000,
        "heartbeat.interval.ms": 1500,
        "fetch.wait.max.ms": 250 if batching else 50 if low_latency else 500,
        "fetch.min.bytes": 64 * 1024 if batching else 1,
        "fetch.message.max.bytes": MAX_MESSAGE_BYTES,
        "queued.max.messages.kbytes": 2048,
        "partition.assignment.strategy": "cooperative-sticky",
    }


def _options(environ: Mapping[str, str]) -> dict[str, Any]:
    try:
        return read_kafka_options(environ)
    except InvalidKafkaOptionsError as exc:
        raise KafkaSettingsError(str(exc)) from exc


def poll_batch(consumer: Consumer, timeout_s: float, limit: int = 500) -> list[Message]:
    """Return the messages that have arrived, as soon as there is one; empty after `timeout_s`.

    `Consumer.consume` alone would wait until it has its number of messages or the time is over.
    """
    first = consumer.poll(timeout_s)
    return [] if first is None else [first, *consumer.consume(limit - 1, timeout=0)]


class InvalidKafkaOptionsError(ValueError):
    """The variable is not a JSON object; the message names it, never its value."""


def read_kafka_options(environ: Mapping[str, str]) -> dict[str, Any]:
    """Parse the properties; none if the variable is not set or empty.

    Raises `InvalidKafkaOptionsError`.
    """
    try:
        options = json.loads(environ.get(env.KAFKA_OPTIONS) or "{}")
    except ValueError as exc:
        raise InvalidKafkaOptionsError(f"{env.KAFKA_OPTIONS} must be JSON") from exc
    if not isinstance(options, dict):
        raise InvalidKafkaOptionsError(f"{env.KAFKA_OPTIONS} must be a JSON object")
    return options
