"""Parser of durations and dates on the command line: `90s`, `15m`, `24h`, `30d`, `2026-01-31`."""

import re
from datetime import UTC, datetime, timedelta

from console.errors import RequestWordsError

_FORM = re.compile(r"(?P<count>[0-9]{1,6})(?P<unit>[smhd])")
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_UNIT_S = {"s": 1, "m": 60, "h": 3600, "d": 86_400}


def seconds(text: str) -> int:
    """Convert `90s`, `15m`, `24h` or `30d` to seconds; raises `RequestWordsError`."""
    form = _FORM.fullmatch(text.strip())
    if form is None:
        raise RequestWordsError(f"{text!r} is not a duration: use 90s, 15m, 24h or 30d")
    return int(form["count"]) * _UNIT_S[form["unit"]]


def moment(text: str) -> str:
    """Convert a duration to the time that far in the future (RFC 3339), a date to its midnight.

    Dates are UTC. Other text is returned as is: the api says what it takes.
    """
    return _shifted(text, 1)


def ago(text: str) -> str:
    """Convert a duration to the time that far in the past; otherwise like `moment`."""
    return _shifted(text, -1)


def day_ago(text: str) -> str:
    """Convert a duration to the UTC day that far in the past; return other text as is."""
    return ago(text)[: len("2026-01-31")] if _FORM.fullmatch(text.strip()) else text


def _shifted(text: str, sign: int) -> str:
    if _DATE.fullmatch(text.strip()):
        return f"{text.strip()}T00:00:00Z"
    if _FORM.fullmatch(text.strip()) is None:
        return text
    at = datetime.now(UTC) + sign * timedelta(seconds=seconds(text))
    return at.isoformat(timespec="seconds").replace("+00:00", "Z")
