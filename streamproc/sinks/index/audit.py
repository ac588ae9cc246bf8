"""Audit sink: copies video.audit into ClickHouse, in a thread next to the index role.

A replay changes nothing: the table deduplicates by time and id. An unreadable record is skipped and
logged.
"""

import threading
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import structlog

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
from streamproc.sinks.index.topic_copy import COLLECT_MS, CopiedTopic, TopicCopy

_log = structlog.get_logger("framewire.audit")

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MAX_MS = 4_102_444_800_000  # the year 2100: within the range of ClickHouse's DateTime
_MAX_COUNT = 2**63 - 1


def start_audit(
    kafka: KafkaSettings, days: int, connect: Callable[[], Any], stop: threading.Event
) -> threading.Thread:
    """Copy audit records, kept for `days`, in a separate thread until `stop` is set."""
    config = consumer_config(client_config(kafka), AUDIT_GROUP, collect_ms=COLLECT_MS)
    statements = (*DDL, keep_statement(days))
    copied = CopiedTopic(AUDIT_TOPIC, AUDIT, statements, COLUMNS, TYPES, _rows)
    return TopicCopy(config, connect, copied).start("audit", stop)


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
