"""Identifiers: ULIDs for tasks and projects, and project keys.

A task's id is `vt_` and a ULID: 48 bits of Unix milliseconds and 80 random bits, in Crockford's
base32, so that ids sort by time. With an Idempotency-Key both parts are derived, so that every api
process computes the same id for the same key.
"""

import hashlib
import re
import secrets

DAY_MS = 86_400_000

_KEY_ID_HEX = 20
_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_TASK_ID = re.compile(r"vt_[0-7][0-9A-HJKMNP-TV-Z]{25}")


def new_task_id(now_ms: int) -> str:
    return "vt_" + _ulid(now_ms, secrets.token_bytes(10))


def is_task_id(text: str) -> bool:
    """Return whether `text` has the form of a task id; other texts are never looked up."""
    return _TASK_ID.fullmatch(text) is not None


def derived_task_ids(project: str, idempotency_key: str, now_ms: int) -> tuple[str, str]:
    """Return the task ids that the Idempotency-Key has today and had yesterday (UTC days).

    A key is valid for 24 hours, so both ids have to be checked. The time in the id is the start of
    the day.
    """
    today = now_ms // DAY_MS
    return _derived(project, idempotency_key, today), _derived(project, idempotency_key, today - 1)


def new_project_id() -> str:
    return "proj_" + secrets.token_hex(8)


def new_key() -> str:
    """Return a new project key with 256 random bits."""
    return "fw_" + secrets.token_urlsafe(32)


def key_hash(key: str) -> str:
    """Return the SHA-256 (hex) that is stored for a key.

    The key is random and long, so one unsalted hash is enough.
    """
    return hashlib.sha256(key.encode()).hexdigest()


def key_id(hash_hex: str) -> str:
    """Return the public id of the key with this SHA-256."""
    return "key_" + hash_hex[:_KEY_ID_HEX]


def _derived(project: str, idempotency_key: str, day: int) -> str:
    text = f"{project}\0{day}\0{idempotency_key}"
    return "vt_" + _ulid(day * DAY_MS, hashlib.sha256(text.encode()).digest()[:10])


def _ulid(time_ms: int, chance: bytes) -> str:
    number = int.from_bytes(time_ms.to_bytes(6, "big") + chance, "big")
    return "".join(_ALPHABET[(number >> shift) & 31] for shift in range(125, -1, -5))
