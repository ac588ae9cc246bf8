"""The audit trail: who did what, to which object, from where, when, and how it went.

`video.audit` holds msgpack `AuditRecord`s under their actor's name, written by the api and never
changed; the index role copies them into the table `audit`. `id` tells two records of one
millisecond apart, and a replay from another record.
"""

from typing import Literal

import msgspec

AUDIT = "audit"
V_AUDIT = "v_audit"

Outcome = Literal["done", "denied", "failed"]
OUTCOMES: tuple[Outcome, ...] = ("done", "denied", "failed")

DEFAULT_DAYS = 365


class AuditRecord(msgspec.Struct, frozen=True):
    """One deed, or one attempt.

    `actor` is `admin`, the id of a key, or `-` for nobody who is known. `project` is the one that
    it concerns, empty for none. `suppressed` counts the denied attempts before this one that were
    too many to be written each.
    """

    id: str
    at_ms: int
    actor: str
    project: str
    action: str
    object: str
    address: str
    outcome: Outcome
    status: int
    detail: str = ""
    suppressed: int = 0


COLUMNS = (
    *("at", "id", "actor", "project", "action", "object", "address"),
    *("outcome", "status", "detail", "suppressed"),
)
TYPES = (
    *("DateTime64(3, 'UTC')", "String", "LowCardinality(String)", "LowCardinality(String)"),
    *("LowCardinality(String)", "String", "String", "LowCardinality(String)", "UInt16"),
    *("String", "UInt64"),
)

DDL = (
    f"""CREATE TABLE IF NOT EXISTS {AUDIT} (
    {", ".join(f"{name} {kind}" for name, kind in zip(COLUMNS, TYPES, strict=True))}
) ENGINE = ReplacingMergeTree
PARTITION BY toYYYYMM(at)
ORDER BY (at, id)""",
    f"""CREATE OR REPLACE VIEW {V_AUDIT} AS SELECT {", ".join(COLUMNS)} FROM {AUDIT} FINAL""",  # noqa: S608 - our names
)


def keep_statement(days: int) -> str:
    """Return the statement that lets rows go after so many days, as the topic does."""
    return (
        f"ALTER TABLE {AUDIT} MODIFY TTL toDateTime(at) + INTERVAL {int(days)} DAY"
        " SETTINGS materialize_ttl_after_modify = 0"
    )


def read_days(text: str | None) -> int:
    """Return the days that `FRAMEWIRE_AUDIT_DAYS` says; raises ValueError on what is no number."""
    days = int(text) if text else DEFAULT_DAYS
    if days < 1:
        raise ValueError("must be 1 or more")
    return days


def encode_audit(record: AuditRecord) -> bytes:
    return msgspec.msgpack.encode(record)


def decode_audit(data: bytes) -> AuditRecord:
    """Raises `msgspec.DecodeError` on bytes that are no record."""
    return msgspec.msgpack.decode(data, type=AuditRecord)
