"""Parser of durations on the command line: `90s`, `15m`, `24h`, `30d`."""

import re
from datetime import UTC, datetime, timedelta

from console.errors import ConsoleError

_FORM = re.compile(r"(?P<count>[0-9]{1,6})(?P<unit>[smhd])")
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_UNIT_S = {"s": 1, "m": 60, "h": 3600, "d": 86_400}


def seconds(text: str) -> int:
    """Convert `90s`, `15m`, `24h` or `30d` to seconds; raises `ConsoleError` for other text."""
    form = _FORM.fullmatch(text.strip())
    if form is None:
        raise ConsoleError(f"{text!r} is not a duration: use 90s, 15m, 24h or 30d")
    return int(form["count"]) * _UNIT_S[form["unit"]]


def moment(text: str) -> str:
    """Convert a duration to the time that far in the future (RFC 3339); return other text as is."""
    return _shifted(text, 1)


def ago(text: str) -> str:
    """Convert a duration to the time that far in the past (RFC 3339); return other text as is."""
    return _shifted(text, -1)


def since(text: str) -> str:
    """Convert a duration as `ago` does, and a date to its first moment in UTC (RFC 3339)."""
    return f"{text.strip()}T00:00:00Z" if _DATE.fullmatch(text.strip()) else ago(text)


def _shifted(text: str, sign: int) -> str:
    if _FORM.fullmatch(text.strip()) is None:
        return text
    at = datetime.now(UTC) + sign * timedelta(seconds=seconds(text))
    return at.isoformat(timespec="seconds").replace("+00:00", "Z")
