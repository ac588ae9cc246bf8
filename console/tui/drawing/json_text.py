"""JSON on several lines, for a person: indented, and with its names in another tone. Pure."""

import re

import msgspec

from console.tui.drawing.styled_text import Line

MAX_LINES = 5000
MAX_VALUE = 2000
"""Characters of one line; a vector in base64 has some more."""
_NAMED = re.compile(r'^(\s*)("(?:[^"\\]|\\.)*")(: )(.*)$')


def formatted_json(data: bytes) -> str:
    """Return the JSON with an indent of two spaces; what is none, such as `[DONE]`, as it is."""
    try:
        return msgspec.json.format(data, indent=2).decode("utf-8", "replace")
    except msgspec.DecodeError:
        return data.decode("utf-8", "replace")


def json_lines(text: str) -> list[Line]:
    """Return the styled lines of formatted JSON, bounded in number and length."""
    rows = text.split("\n")
    lines = [_line(row) for row in rows[:MAX_LINES]]
    if len(rows) > MAX_LINES:
        lines.append(((f"… {len(rows) - MAX_LINES} more lines", "warn"),))
    return lines


def _line(row: str) -> Line:
    if len(row) > MAX_VALUE:
        row = f"{row[:MAX_VALUE]}… {len(row) - MAX_VALUE} more"
    named = _NAMED.match(row)
    if named is None:
        return ((row, ""),)
    indent, name, colon, value = named.groups()
    return ((indent, ""), (name, "info"), (colon, "dim"), (value, ""))
