"""Rate limiter for the Kafka clients' logs: the same message once in 30 s."""

import logging
import re
import time
from collections.abc import Callable

_EVERY_S = 30.0
_TALKATIVE = ("aiokafka", "faust", "librdkafka", "mode")
_MAX_KINDS = 1000


class RateLimitFilter(logging.Filter):
    """Logging filter: drops Kafka client messages that differ from a recent one only in numbers.

    Add it to a handler. While a broker is down, its clients report every connection attempt.
    """

    def __init__(self, clock_s: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._clock_s = clock_s
        self._said_s: dict[tuple[str, str], float] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        if record.name.split(".", 1)[0] not in _TALKATIVE:
            return True
        kind = (record.name, re.sub(r"\d+", "#", record.getMessage())[:120])
        now_s = self._clock_s()
        if now_s - self._said_s.get(kind, -_EVERY_S) < _EVERY_S:
            return False
        if len(self._said_s) >= _MAX_KINDS:
            self._said_s.clear()
        self._said_s[kind] = now_s
        return True


def rate_limit_logs() -> None:
    """Add the filter to all handlers of the root logger; call it after they are set up."""
    seldom = RateLimitFilter()
    for handler in logging.getLogger().handlers:
        handler.addFilter(seldom)
