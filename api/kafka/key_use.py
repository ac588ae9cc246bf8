"""When keys were last used: told to the other processes now and then, never waited for."""

import time
from collections.abc import Callable

import msgspec

from api.kafka.global_table import GlobalTable, use_key
from api.kafka.producer import Publisher
from streamproc.contract import topics
from streamproc.contract.records import KeyUse

EVERY_MS = 10 * 60_000  # one record per key and this long: a compacted topic grows by little


class KeyUses:
    """Notes uses from the serving loop; a note that Kafka does not take is made again later."""

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
        """Note that the key with this SHA-256 is used now."""
        now_ms = self._clock_ms()
        if now_ms - self._directory.used_ms(hash_hex, 0) < EVERY_MS:
            return
        key, value = use_key(hash_hex), msgspec.msgpack.encode(KeyUse(hash_hex, now_ms))
        self._directory.apply(topics.PROJECTS, key, value)
        self._publisher.post(topics.PROJECTS, key, value)
