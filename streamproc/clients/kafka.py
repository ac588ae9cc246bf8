"""librdkafka clients, configured alike everywhere in this package."""

import json
import logging
from collections.abc import Mapping
from typing import Any

from confluent_kafka import Consumer, Message

from streamproc.contract import env
from streamproc.contract.topics import MAX_MESSAGE_BYTES

_QUIET = logging.getLogger("librdkafka")


class KafkaSettingsError(ValueError):
    """A variable is missing or cannot be read. The message names it, never its value."""


def client_config(environ: Mapping[str, str]) -> dict[str, Any]:
    """Return the properties that every client shares. Raises `KafkaSettingsError`."""
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
    """Return a producer's properties: every ack, in order, once per session.

    Records linger a little: one request for the frames of 60 ms costs the broker, and everybody
    who follows the topic, a fraction of what a request for each would.
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
    """Return a consumer's properties: nothing is committed but by hand; small buffers.

    The broker answers as soon as there is a record, however long a fetch may wait. A `batching`
    consumer lets records gather there for a quarter of a second: it costs everybody less, and
    suits those who write in batches anyway. A `low_latency` one changes its assignment often, and a
    fetch that waits would hold the next one up.
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
    """Return what has arrived, as soon as that is anything; nothing after `timeout_s`.

    `Consumer.consume` alone waits until it has its number of messages or the time is over.
    """
    first = consumer.poll(timeout_s)
    return [] if first is None else [first, *consumer.consume(limit - 1, timeout=0)]


class InvalidKafkaOptionsError(ValueError):
    """The variable is no JSON object; the message names it, never its value."""


def read_kafka_options(environ: Mapping[str, str]) -> dict[str, Any]:
    """Return the properties, none when the variable is not set or empty.

    Raises `InvalidKafkaOptionsError`.
    """
    try:
        options = json.loads(environ.get(env.KAFKA_OPTIONS) or "{}")
    except ValueError as exc:
        raise InvalidKafkaOptionsError(f"{env.KAFKA_OPTIONS} must be JSON") from exc
    if not isinstance(options, dict):
        raise InvalidKafkaOptionsError(f"{env.KAFKA_OPTIONS} must be a JSON object")
    return options
