"""Timestamps of the public API: formatting and parsing RFC 3339 and Unix milliseconds."""

from datetime import datetime

from api.errors import InvalidRequestError
from streamproc.contract.timestamps import MAX_MS, rfc3339


def rfc3339_or_none(time_ms: int | None) -> str | None:
    return None if time_ms is None else rfc3339(time_ms)


def parse_time_ms(text: str, field: str) -> int:
    """Parse `text`, Unix milliseconds or RFC 3339; return Unix milliseconds.

    Raises InvalidRequestError, naming `field`, on anything else, including a time without a zone.
    """
    if text.isascii() and text.isdecimal() and len(text) <= len(str(MAX_MS)):
        return min(int(text), MAX_MS)
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is None or len(text) < len("2026-01-31T12:00Z"):
        raise InvalidRequestError.at(
            field, "must be RFC 3339 with a zone (2026-01-31T12:00:00Z) or Unix milliseconds"
        )
    return max(0, round(moment.timestamp() * 1000))
