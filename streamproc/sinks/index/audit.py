"""Audit sink: copies video.audit into ClickHouse, in a thread next to the index role.

One thread in one process of the group: read a batch, insert it, commit. Delivery is at least once,
and a replay changes nothing: the table deduplicates by time and id. While ClickHouse is unavailable
the batch waits. An unreadable record is skipped and logged.
"""

import random
import threading
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import msgspec
import structlog
from clickhouse_connect.driver.exceptions import ClickHouseError
from confluent_kafka import Consumer, KafkaException, TopicPartition
from urllib3.exceptions import HTTPError

from streamproc.clients.clickhouse import close_failed
from streamproc.clients.kafka import KafkaSettings, client_config, consumer_config
from streamproc.contract.audit import (
    AUDIT,
    COLUMNS,
    DDL,
    TYPES,
    AuditRecord,
    decode_audit,
    keep_statement,
)
from streamproc.contract.topics import AUDIT as AUDIT_TOPIC
from streamproc.contract.topics import AUDIT_GROUP

_log = structlog.get_logger("framewire.audit")

BATCH_RECORDS = 1000
POLL_S = 0.5
BACKOFF_S = (0.2, 10.0)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MAX_MS = 4_102_444_800_000  # the year 2100: within the range of ClickHouse's DateTime
_MAX_COUNT = 2**63 - 1


def start_audit(
    kafka: KafkaSettings, days: int, connect: Callable[[], Any], stop: threading.Event
) -> threading.Thread:
    """Copy audit records, kept for `days`, in a separate thread until `stop` is set."""
    sink = AuditSink(
        consumer_config(client_config(kafka), AUDIT_GROUP, batching=True), connect, days
    )
    thread = threading.Thread(target=sink.run, args=(stop,), name="audit", daemon=True)
    thread.start()
    return thread


class AuditSink:
    """Drives one consumer; `connect` opens a clickhouse-connect client for this thread only."""

    def __init__(self, config: Mapping[str, Any], connect: Callable[[], Any], days: int) -> None:
        self._config = config
        self._connect = connect
        self._days = days
        self._client: Any = None

    def run(self, stop: threading.Event) -> None:
        """Copy until `stop` is set; failures are retried."""
        consumer = Consumer(dict(self._config))
        try:
            consumer.subscribe([AUDIT_TOPIC])
            self._patiently(partial(self._insert, ()), stop)
            while not stop.is_set():
                messages = [m for m in consumer.consume(BATCH_RECORDS, POLL_S) if not m.error()]
                if messages and self._patiently(partial(self._insert, _rows(messages)), stop):
                    _commit(consumer, messages)
        finally:
            consumer.close()
            self._forget()

    def _patiently(self, work: Callable[[], None], stop: threading.Event) -> bool:
        """Retry `work` with exponential back-off until it succeeds; False if `stop` came first."""
        backoff_s, limit_s = BACKOFF_S
        while not stop.is_set():
            try:
                work()
            except (ClickHouseError, HTTPError, OSError) as exc:
                _log.warning("audit records wait for ClickHouse", reason=type(exc).__name__)
                self._forget()
            except Exception:  # noqa: BLE001 - a thread's edge: the sink continues, the log has the reason
                _log.exception("audit records wait")
                self._forget()
            else:
                return True
            stop.wait(backoff_s * random.uniform(0.5, 1.0))  # noqa: S311 - jitter
            backoff_s = min(backoff_s * 2, limit_s)
        return False

    def _insert(self, rows: Sequence[Sequence[object]]) -> None:
        if self._client is None:
            self._client = self._connect()
            for statement in (*DDL, keep_statement(self._days)):
                self._client.command(statement)
        if rows:
            self._client.insert(AUDIT, rows, column_names=COLUMNS, column_type_names=TYPES)

    def _forget(self) -> None:
        client, self._client = self._client, None
        close_failed(client)


def _rows(messages: Sequence[Any]) -> list[list[object]]:
    rows = []
    for message in messages:
        try:
            rows.append(row_of(decode_audit(message.value() or b"")))
        except msgspec.DecodeError as exc:
            _log.error("audit record skipped", reason=str(exc))
    return rows


def row_of(record: AuditRecord) -> list[object]:
    """Return the table's row, in the order of `COLUMNS`; numbers are clamped to their columns."""
    at = _EPOCH + timedelta(milliseconds=min(max(record.at_ms, 0), _MAX_MS))
    return [
        *(at, record.id, record.actor, record.project, record.action, record.object),
        *(record.address, record.outcome, min(max(record.status, 0), 999), record.detail),
        min(max(record.suppressed, 0), _MAX_COUNT),
    ]


def _commit(consumer: Consumer, messages: Sequence[Any]) -> None:
    """Commit the offsets after `messages`, which are in Kafka's order within each partition."""
    last = {message.partition(): message.offset() for message in messages}
    offsets = [TopicPartition(AUDIT_TOPIC, place, offset + 1) for place, offset in last.items()]
    try:
        consumer.commit(offsets=offsets, asynchronous=False)
    except KafkaException as exc:
        _log.info("commit failed", reason=str(exc))  # records are read again, which changes nothing
