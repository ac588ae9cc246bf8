r"""Text of others on a terminal: what a terminal would obey, or hide, is shown as an escape.

Class names, OCR texts, hints, names of keys and an api's messages come from elsewhere. Control
characters (C0, C1), bidirectional marks and other characters without a picture become `\x1b`,
`\u202e`; in JSON they become JSON's own escapes, so that the value stays the same.
"""

import sys
import unicodedata
from collections.abc import Callable

import click


def printable(text: str, keep: str = "") -> str:
    """Return the text with everything escaped that has no picture, but for `keep` and spaces."""
    return text if text.isprintable() else _escaped(text, keep, _python_escape)


def printable_json(text: str) -> str:
    """Return JSON that means the same; line breaks between its values stay."""
    return text if text.isprintable() else _escaped(text, "\n", _json_escape)


def echo(text: str = "", *, err: bool = False, nl: bool = True) -> None:
    """Print lines of text that others may have written, in part."""
    click.echo(printable(text, "\n"), err=err, nl=nl)


def echo_json(data: bytes) -> None:
    """Print one line of JSON."""
    click.echo(printable_json(data.decode()))


def on_terminal() -> bool:
    """Whether a terminal reads stdout, and not a program that wants every byte."""
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
