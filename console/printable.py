r"""Escaping of untrusted text for a terminal: prevents control sequences and hidden characters.

Class names, OCR texts, hints, names of keys and an api's messages are untrusted. Control characters
(C0, C1), bidirectional marks and other non-printable characters are shown as `\x1b`, `\u202e`. In
JSON they become JSON escapes, so that the value does not change.
"""

import sys
import unicodedata
from collections.abc import Callable

import click


def printable(text: str, keep: str = "") -> str:
    """Escape all non-printable characters except those in `keep` and spaces."""
    return text if text.isprintable() else _escaped(text, keep, _python_escape)


def printable_json(text: str) -> str:
    """Escape non-printable characters in JSON without changing its value; keeps line breaks."""
    return text if text.isprintable() else _escaped(text, "\n", _json_escape)


def echo(text: str = "", *, err: bool = False, nl: bool = True) -> None:
    """Print lines that may contain untrusted text, escaped."""
    click.echo(printable(text, "\n"), err=err, nl=nl)


def echo_json(data: bytes) -> None:
    """Print one line of JSON, escaped."""
    click.echo(printable_json(data.decode()))


def on_terminal() -> bool:
    """Whether stdout is a terminal, and not a pipe that needs the exact bytes."""
    return sys.stdout.isatty()


def _escaped(text: str, keep: str, escape: Callable[[int], str]) -> str:
    return "".join(
        c if c.isprintable() or c in keep or unicodedata.category(c) == "Zs" else escape(ord(c))
        for c in text
    )


def _python_escape(code: int) -> str:
    if code <= 0xFF:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code <= 0xFFFF else f"\\U{code:08x}"


def _json_escape(code: int) -> str:
    if code <= 0xFFFF:
        return f"\\u{code:04x}"
    high, low = divmod(code - 0x10000, 0x400)
    return f"\\u{0xD800 + high:04x}\\u{0xDC00 + low:04x}"
