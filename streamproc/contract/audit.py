"""Audit trail: who did what, to which object, from where, when, and with what outcome.

`video.audit` holds msgpack `AuditRecord`s; the key is the actor. The api writes them and never
changes them. The index role copies them into the table `audit`. `id` distinguishes two records of
the same millisecond, and a replayed record from a new one.
"""

from typing import Literal

import msgspec

AUDIT = "audit"
V_AUDIT = "v_audit"

Outcome = Literal["done", "denied", "failed"]
OUTCOMES: tuple[Outcome, ...] = ("done", "denied", "failed")

DEFAULT_DAYS = 365


class AuditRecord(msgspec.Struct, frozen=True):
    """One action, or one attempt.

    `actor` is `admin`, the id of a key, or `-` if unknown. `project` is the project concerned,
    empty for none. `suppressed` counts the denied attempts before this one that have no record of
    their own because there were too many.
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
    """Return the statement that sets the rows' TTL, equal to the topic's retention."""
    return (
        f"ALTER TABLE {AUDIT} MODIFY TTL toDateTime(at) + INTERVAL {int(days)} DAY"
        " SETTINGS materialize_ttl_after_modify = 0"
    )


def read_days(text: str | None) -> int:
    """Parse `FRAMEWIRE_AUDIT_DAYS`; raises ValueError unless it is an integer of 1 or more."""
    days = int(text) if text else DEFAULT_DAYS
    if days < 1:
        raise ValueError("must be 1 or more")
    return days


def encode_audit(record: AuditRecord) -> bytes:
    return msgspec.msgpack.encode(record)


def decode_audit(data: bytes) -> AuditRecord:
    """Decode a record; raises `msgspec.DecodeError` on bytes that are no record."""
    return msgspec.msgpack.decode(data, type=AuditRecord)
