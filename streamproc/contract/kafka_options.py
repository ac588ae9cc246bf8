"""FRAMEWIRE_KAFKA_OPTIONS: librdkafka properties that an operator adds for every client."""

import json
from collections.abc import Mapping
from typing import Any

from streamproc.contract import env


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
