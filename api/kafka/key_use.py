"""Last-used times of API keys: sent to the other processes through Kafka, without waiting."""

import time
from collections.abc import Callable

import msgspec

from api.kafka.global_table import GlobalTable, use_key
from api.kafka.producer import Publisher
from streamproc.contract import topics
from streamproc.contract.records import KeyUse

EVERY_MS = 10 * 60_000  # at most one record per key and interval: a compacted topic stays small


class KeyUses:
    """Records key uses. Use from the server's event loop.

    A record that Kafka does not accept is lost; the key's next one follows after `EVERY_MS`.
    """

    def __init__(
        self,
        directory: GlobalTable,
        publisher: Publisher,
        clock_ms: Callable[[], int] = lambda: time.time_ns() // 1_000_000,
    ) -> None:
        self._directory = directory
        self._publisher = publisher
        self._clock_ms = clock_ms

    def note(self, hash_hex: str) -> None:
        """Record that the key with this SHA-256 is used now."""
        now_ms = self._clock_ms()
        if now_ms - self._directory.used_ms(hash_hex, 0) < EVERY_MS:
            return
        key, value = use_key(hash_hex), msgspec.msgpack.encode(KeyUse(hash_hex, now_ms))
        self._directory.apply(topics.PROJECTS, key, value)
        self._publisher.post(topics.PROJECTS, key, value)
