"""RFC 3339 times in UTC with milliseconds, as logs and the public API have them."""

from datetime import UTC, datetime

from streamproc.contract.bounds import MAX_TIME_MS

MAX_MS = 253_402_300_799_999
"""The last millisecond of the year 9999."""


def rfc3339(time_ms: int) -> str:
    """Return Unix milliseconds as RFC 3339 in UTC: `2026-01-31T12:00:00.250Z`.

    Times outside the years 1970 to 9999 are clamped to that range.
    """
    time_ms = min(max(time_ms, 0), MAX_MS)
    moment = datetime.fromtimestamp(time_ms // 1000, UTC)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{time_ms % 1000:03d}Z"


def usable_time_ms(text: str) -> int | None:
    """Return the Unix milliseconds of a time in a log; None if it is invalid or out of bounds."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    if moment.tzinfo is None:
        return None
    time_ms = round(moment.timestamp() * 1000)
    return time_ms if 0 <= time_ms <= MAX_TIME_MS else None
