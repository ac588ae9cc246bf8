"""Copies one topic into one table, in a thread next to the index role.

One thread in one process of the group: read a batch, insert its rows, commit. Delivery is at least
once: the table has to deduplicate. While ClickHouse is unavailable the batch waits.
"""

import random
import threading
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

import structlog
from clickhouse_connect.driver.exceptions import ClickHouseError
from confluent_kafka import Consumer, KafkaException, TopicPartition
from urllib3.exceptions import HTTPError

from streamproc.clients.clickhouse import close_failed

_log = structlog.get_logger("framewire.index")

BATCH_RECORDS = 1000
POLL_S = 0.5
COLLECT_MS = 1000
"""For `consumer_config`."""
BACKOFF_S = (0.2, 10.0)


class CopiedTopic(NamedTuple):
    """What is copied: `rows_of` skips messages that are unusable, and never raises for them.

    `statements` make the table; `columns` and `types` are of what `rows_of` returns.
    """

    topic: str
    table: str
    statements: Sequence[str]
    columns: Sequence[str]
    types: Sequence[str]
    rows_of: Callable[[Sequence[Any]], Sequence[Sequence[object]]]


class TopicCopy:
    """Drives one consumer; `connect` opens a clickhouse-connect client for this thread only."""

    def __init__(
        self, config: Mapping[str, Any], connect: Callable[[], Any], copied: CopiedTopic
    ) -> None:
        self._config = config
        self._connect = connect
        self._copied = copied
        self._client: Any = None

    def run(self, stop: threading.Event) -> None:
        """Copy until `stop` is set; failures are retried."""
        consumer = Consumer(dict(self._config))
        try:
            consumer.subscribe([self._copied.topic])
            self._patiently(partial(self._insert, ()), stop)
            while not stop.is_set():
                messages = [m for m in consumer.consume(BATCH_RECORDS, POLL_S) if not m.error()]
                rows = self._copied.rows_of(messages)
                if messages and self._patiently(partial(self._insert, rows), stop):
                    self._commit(consumer, messages)
        finally:
            consumer.close()
            self._forget()

    def start(self, name: str, stop: threading.Event) -> threading.Thread:
        """Run in a separate thread until `stop` is set."""
        thread = threading.Thread(target=self.run, args=(stop,), name=name, daemon=True)
        thread.start()
        return thread

    def _patiently(self, work: Callable[[], None], stop: threading.Event) -> bool:
        """Retry `work` with exponential back-off until it succeeds; False if `stop` came first."""
        backoff_s, limit_s = BACKOFF_S
        while not stop.is_set():
            try:
                work()
            except (ClickHouseError, HTTPError, OSError) as exc:
                _log.warning(
                    "records wait for ClickHouse",
                    topic=self._copied.topic,
                    reason=type(exc).__name__,
                )
                self._forget()
            except Exception:  # noqa: BLE001 - a thread's edge: the sink continues, the log has the reason
                _log.exception("records wait", topic=self._copied.topic)
                self._forget()
            else:
                return True
            stop.wait(backoff_s * random.uniform(0.5, 1.0))  # noqa: S311 - jitter
            backoff_s = min(backoff_s * 2, limit_s)
        return False

    def _insert(self, rows: Sequence[Sequence[object]]) -> None:
        copied = self._copied
        if self._client is None:
            self._client = self._connect()
            for statement in copied.statements:
                self._client.command(statement)
        if rows:
            self._client.insert(
                copied.table, rows, column_names=copied.columns, column_type_names=copied.types
            )

    def _forget(self) -> None:
        client, self._client = self._client, None
        close_failed(client)

    def _commit(self, consumer: Consumer, messages: Sequence[Any]) -> None:
        """Commit the offsets after `messages`, which are in Kafka's order in each partition."""
        last = {message.partition(): message.offset() for message in messages}
        topic = self._copied.topic
        offsets = [TopicPartition(topic, place, offset + 1) for place, offset in last.items()]
        try:
            consumer.commit(offsets=offsets, asynchronous=False)
        except KafkaException as exc:
            _log.info("commit failed", topic=topic, reason=str(exc))  # they are read again
