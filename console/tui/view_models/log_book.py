"""View model of the local stack's logs: the newest lines, by role. Pure."""

from collections import Counter, deque
from collections.abc import Iterable
from typing import Any, NamedTuple, Protocol

import msgspec

from console.tui.drawing.formatting import grouped
from console.tui.drawing.styled_text import Line
from console.tui.drawing.table_layout import Column, LazyRows, Row

MAX_LINES = 5000
MAX_CHARS = 4096
ALL = "all"
ROLE_COLUMNS = (Column("role", "LOG", 10, flex=1), Column("lines", "LINES", 5, right=True))
LINE_COLUMNS = (Column("role", "LOG", 9), Column("line", "LINE", 20, flex=1))
_TONES = {
    "[error": "bad",
    "[critical": "bad",
    "[warning": "warn",
    " ERROR ": "bad",
    " WARN ": "warn",
}
_LEVEL_CHARS = 60
"""A level stands within the line's first characters."""


class Logs(Protocol):
    """What reads the logs; `read` returns (role, line) for all that came since it was called."""

    def read(self) -> list[tuple[str, str]]: ...


class LogLine(NamedTuple):
    role: str
    text: str


class LogBook:
    """The newest `MAX_LINES` lines of all logs together; each line's key is its number."""

    def __init__(self) -> None:
        self._lines: deque[tuple[int, LogLine]] = deque(maxlen=MAX_LINES)
        self._n_taken = 0

    def take(self, found: Iterable[tuple[str, str]]) -> None:
        for role, text in found:
            cut = text if len(text) <= MAX_CHARS else f"{text[:MAX_CHARS]}…"
            self._lines.append((self._n_taken, LogLine(role, cut)))
            self._n_taken += 1

    def role_rows(self) -> list[Row]:
        """Return a row for all lines, and one for each log; keys are the roles."""
        counts = Counter(line.role for _, line in self._lines)
        named = [(ALL, len(self._lines)), *sorted(counts.items())]
        return [Row(role, (((role, ""),), ((grouped(n), "dim"),))) for role, n in named]

    def rows(self, role: str) -> LazyRows:
        """Return the lines of a role, or of all, oldest first."""
        shown = {str(n): line for n, line in self._lines if role in {ALL, line.role}}

        def row(key: str) -> Row:
            line = shown[key]
            text = readable(line.text)
            return Row(key, (((line.role, "dim"),), ((text, tone_of(text)),)))

        return LazyRows(list(shown), row)

    def line(self, key: str | None) -> str:
        """Return a whole line; nothing if it is no longer kept."""
        return next((line.text for n, line in self._lines if str(n) == key), "")

    def text(self, role: str) -> str:
        """Return the lines of a role as text; of all with their roles."""
        return "".join(
            f"{line.role:<9} | {line.text}\n" if role == ALL else f"{line.text}\n"
            for _, line in self._lines
            if role in {ALL, line.role}
        )


def readable(text: str) -> str:
    """Return a line that is a JSON object, as the api writes them, in the form of the others."""
    if not text.startswith("{"):
        return text
    try:
        found = msgspec.json.decode(text, type=dict[str, Any])
    except msgspec.DecodeError:
        return text
    at, level, event = (str(found.pop(name, "")) for name in ("timestamp", "level", "event"))
    fields = "".join(f" {name}={value}" for name, value in found.items())
    return f"{at[:19].replace('T', ' ')} [{level:<9}] {event}{fields}"


def tone_of(text: str) -> str:
    """Return the tone of a line by its level."""
    head = text[:_LEVEL_CHARS]
    return next((tone for mark, tone in _TONES.items() if mark in head), "")


def whole_line(text: str) -> list[Line]:
    return [((text, tone_of(readable(text))),)] if text else []
