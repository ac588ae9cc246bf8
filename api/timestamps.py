"""Timestamps of the public API: formatting and parsing RFC 3339 and Unix milliseconds."""

from datetime import UTC, datetime

from api.errors import InvalidRequestError

_MAX_MS = 253_402_300_799_999  # the last millisecond of the year 9999


def rfc3339(time_ms: int) -> str:
    """Return Unix milliseconds as RFC 3339 in UTC: `2026-01-31T12:00:00.250Z`.

    Times outside the years 1970 to 9999 are clamped to that range.
    """
    time_ms = min(max(time_ms, 0), _MAX_MS)
    moment = datetime.fromtimestamp(time_ms // 1000, UTC)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{time_ms % 1000:03d}Z"


def rfc3339_or_none(time_ms: int | None) -> str | None:
    return None if time_ms is None else rfc3339(time_ms)


def parse_time_ms(text: str, field: str) -> int:
    """Parse `text`, Unix milliseconds or RFC 3339; return Unix milliseconds.

    Raises InvalidRequestError, naming `field`, on anything else, including a time without a zone.
    """
    if text.isascii() and text.isdecimal() and len(text) <= len(str(_MAX_MS)):
        return min(int(text), _MAX_MS)
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is None or len(text) < len("2026-01-31T12:00Z"):
        raise InvalidRequestError.at(
            field, "must be RFC 3339 with a zone (2026-01-31T12:00:00Z) or Unix milliseconds"
        )
    return max(0, round(moment.timestamp() * 1000))
