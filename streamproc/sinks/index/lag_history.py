"""Samples the roles' consumer lag into ClickHouse, in a thread next to the index role.

It asks Kafka itself, so the lag of roles that do not run is sampled as well. While ClickHouse is
unavailable the newest hour of samples waits.
"""

import threading
import time
from collections import defaultdict, deque
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from typing import Any

import structlog
from clickhouse_connect.driver.exceptions import ClickHouseError
from urllib3.exceptions import HTTPError

from streamproc.clients.clickhouse import close_failed
from streamproc.clients.consumer_lag import GROUPS, ConsumerLag, LagReader
from streamproc.clients.kafka import KafkaSettings, client_config
from streamproc.contract.lag_history import COLUMNS, DDL, LAG_SAMPLES, SAMPLE_S, TYPES

_log = structlog.get_logger("framewire.history")

MAX_WAITING = 360 * len(GROUPS)
"""Rows that wait for ClickHouse: of an hour."""


class LagHistory:
    """Drives the sampling; `read` asks for the lag, `connect` opens a client for this thread."""

    def __init__(
        self, read: Callable[[], Iterable[ConsumerLag]], connect: Callable[[], Any]
    ) -> None:
        self._read = read
        self._connect = connect
        self._client: Any = None
        self._waiting: deque[list[object]] = deque(maxlen=MAX_WAITING)

    def run(self, stop: threading.Event) -> None:
        """Take one sample in each `SAMPLE_S`, until `stop` is set."""
        while True:
            try:
                self.sample(time.time())
            except Exception:  # noqa: BLE001 - a thread's edge: the next sample is tried, the log has the reason
                _log.exception("lag was not sampled")
            if stop.wait(SAMPLE_S - time.time() % SAMPLE_S):
                break
        self._forget()

    def sample(self, now_s: float) -> None:
        """Read the lag and insert it with what waits; what cannot be inserted waits."""
        self._waiting.extend(rows(self._read(), int(now_s) // SAMPLE_S * SAMPLE_S))
        try:
            self._insert()
        except (ClickHouseError, HTTPError, OSError) as exc:
            _log.warning("samples of lag wait for ClickHouse", reason=type(exc).__name__)
            self._forget()

    def _insert(self) -> None:
        if self._client is None:
            self._client = self._connect()
            for statement in DDL:
                self._client.command(statement)
        if self._waiting:
            self._client.insert(
                LAG_SAMPLES,
                list(self._waiting),
                column_names=COLUMNS,
                column_type_names=TYPES,
            )
            self._waiting.clear()

    def _forget(self) -> None:
        client, self._client = self._client, None
        close_failed(client)


def start_lag_history(
    kafka: KafkaSettings, connect: Callable[[], Any], stop: threading.Event
) -> threading.Thread:
    """Sample consumer lag in a separate thread until `stop` is set."""

    def run() -> None:
        reader = LagReader(client_config(kafka))
        try:
            LagHistory(reader.read, connect).run(stop)
        finally:
            reader.close()

    thread = threading.Thread(target=run, name="lag history", daemon=True)
    thread.start()
    return thread


def rows(places: Iterable[ConsumerLag], at_s: int) -> Sequence[list[object]]:
    """Return the rows of one sample, in the order of `COLUMNS`.

    A group that has never committed has none: how far it is behind is not known.
    """
    totals: dict[tuple[str, str], int] = defaultdict(int)
    begun = set()
    for place in places:
        totals[place.group, place.topic] += place.messages
        if place.committed is not None:
            begun.add((place.group, place.topic))
    at = datetime.fromtimestamp(at_s, UTC)
    return [[at, *key, lag] for key, lag in totals.items() if key in begun]
