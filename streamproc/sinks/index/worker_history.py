"""Sink of the workers' history: samples heartbeats of video.workers into ClickHouse.

One row per worker in ten seconds, for at most `MAX_WORKERS` workers. A record that is no worker's
heartbeat, or one whose clock is off, is left out and counted; the count is logged.
"""

import math
import threading
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec
import structlog
from cachetools import LRUCache

from streamproc.clients.kafka import KafkaSettings, client_config, consumer_config
from streamproc.contract.decoding import msgpack_decoder
from streamproc.contract.records import CONSUMER_KEY, WorkerBeat
from streamproc.contract.topics import HISTORY_GROUP, WORKERS
from streamproc.contract.worker_history import COLUMNS, DDL, SAMPLE_S, TYPES, WORKER_SAMPLES
from streamproc.sinks.index.topic_copy import COLLECT_MS, CopiedTopic, TopicCopy

_log = structlog.get_logger("framewire.history")

MAX_WORKERS = 1000
"""Workers with a row in one time of `SAMPLE_S`."""
MAX_NAME = 256
MAX_SKEW_MS = 600_000
"""How far a heartbeat's clock may be from Kafka's."""
_MAX_COUNT = 2**63 - 1
_MAX_SMALL = 2**32 - 1
_MAX_RATE = 1e9
_decode = msgpack_decoder(WorkerBeat)


def start_worker_history(
    kafka: KafkaSettings, connect: Callable[[], Any], stop: threading.Event
) -> threading.Thread:
    """Sample heartbeats in a separate thread until `stop` is set."""
    config = consumer_config(client_config(kafka), HISTORY_GROUP, collect_ms=COLLECT_MS)
    copied = CopiedTopic(WORKERS, WORKER_SAMPLES, DDL, COLUMNS, TYPES, Sampler().rows)
    return TopicCopy(config, connect, copied).start("history", stop)


class Sampler:
    """Chooses the heartbeats that become rows. `n_left_out` counts records that are unusable."""

    def __init__(self) -> None:
        self._last: LRUCache[str, int] = LRUCache(2 * MAX_WORKERS)
        self._n_at: LRUCache[int, int] = LRUCache(64)
        self.n_left_out = 0

    def rows(self, messages: Sequence[Any]) -> list[list[object]]:
        """Return the rows of Kafka's messages; one is left out without an effect on others."""
        before = self.n_left_out
        rows: list[list[object]] = []
        for message in messages:
            key, value = message.key() or b"", message.value()
            if value is None or key.startswith(CONSUMER_KEY.encode()):
                continue
            row = self.take(value, message.timestamp()[1])
            if row is not None:
                rows.append(row)
        if self.n_left_out > before:
            _log.warning("heartbeats left out", n=self.n_left_out - before, total=self.n_left_out)
        return rows

    def take(self, value: bytes, written_ms: int) -> list[object] | None:
        """Return the row of a heartbeat, in the order of `COLUMNS`; None if it gets none."""
        try:
            beat = _decode(value)
        except msgspec.DecodeError:
            self.n_left_out += 1
            return None
        is_named = 0 < len(beat.worker) <= MAX_NAME and len(beat.host) <= MAX_NAME
        if not is_named or abs(beat.beat_ms - written_ms) > MAX_SKEW_MS:
            self.n_left_out += 1
            return None
        at_s = beat.beat_ms // 1000 // SAMPLE_S * SAMPLE_S
        if self._last.get(beat.worker, -1) >= at_s:
            return None
        n_workers = self._n_at.get(at_s, 0)
        if n_workers >= MAX_WORKERS:
            self.n_left_out += 1
            return None
        self._last[beat.worker] = at_s
        self._n_at[at_s] = n_workers + 1
        return [
            *(datetime.fromtimestamp(at_s, UTC), beat.worker, beat.host, _rate(beat.fps)),
            None if beat.cpu_percent is None else _rate(beat.cpu_percent),
            _count(beat.rss_bytes),
            _count(beat.busy, _MAX_SMALL),
            _count(beat.slots, _MAX_SMALL),
            _count(beat.processed_frames),
        ]


def _rate(value: float) -> float:
    return min(max(value, 0.0), _MAX_RATE) if math.isfinite(value) else 0.0


def _count(value: int, most: int = _MAX_COUNT) -> int:
    return min(max(value, 0), most)
