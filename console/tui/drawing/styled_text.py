"""Styled text as plain data, and its mapping to the colours of a theme.

Drawing functions return lines of `(text, tone)`. A tone is one of `TONES` or a track's colour
`t0` … `t7`; a trailing `!` makes it bold. Only `Ink` maps tones to colours.
"""

import re
from collections.abc import Iterable, Mapping

from rich.cells import cell_len, set_cell_size
from rich.segment import Segment
from rich.style import Style
from textual.color import Color, ColorParseError
from textual.strip import Strip

from console.printable import printable

Span = tuple[str, str]
Line = tuple[Span, ...]

_BREAKS = " /,&?"
_WORD = re.compile(r"\S+\s*|\s+")
TONES = ("", "dim", "faint", "good", "warn", "bad", "info", "accent", "primary")
N_TRACK_TONES = 8
_ON_DARK = (
    *("#4cc9f0", "#f9c74f", "#90e07b", "#ff8fab"),
    *("#b9a4ff", "#ff9f57", "#5eead4", "#e879f9"),
)
_ON_LIGHT = (
    *("#0369a1", "#a16207", "#3f7d20", "#be185d"),
    *("#6d28d9", "#c2410c", "#0f766e", "#a21caf"),
)


def track_tone(number: int) -> str:
    """Return the tone of a track; consecutive numbers have different tones."""
    return f"t{number % N_TRACK_TONES}"


def track_colours(*, dark: bool) -> tuple[str, ...]:
    """Return the tracks' colours as `#rrggbb`, for a dark or a light background."""
    return _ON_DARK if dark else _ON_LIGHT


def length(line: Iterable[Span]) -> int:
    return sum(cells(text) for text, _ in line)


def cells(text: str) -> int:
    """Return the text's width in cells, with a fast path for printable ASCII."""
    return len(text) if text.isascii() and text.isprintable() else cell_len(printable(text))


def fitted(line: Iterable[Span], width: int, *, right: bool = False) -> Line:
    """Pad or truncate the line to exactly `width` cells; a truncated line ends in an ellipsis."""
    spans: list[Span] = []
    left = width
    for raw, tone in line:
        text = printable(raw)
        n_cells = cells(text)
        if n_cells > left:
            if left > 0:
                spans.append((f"{_head(text, left - 1)}…", tone))
            left = 0
            break
        spans.append((text, tone))
        left -= n_cells
    pad = ((" " * left, ""),) if left else ()
    return (*pad, *spans) if right else (*spans, *pad)


def folded(line: Iterable[Span], width: int, indent: int = 0) -> list[Line]:
    """Wrap the line to lines of at most `width` cells; all but the first are indented.

    A line ends after a slash or a comma if there is one in its second half.
    """
    lines: list[list[Span]] = [[]]
    left = width
    for text, tone in line:
        rest = printable(text)
        while cell_len(rest) > left:
            head = set_cell_size(rest, left).rstrip() if left else ""
            if not head and left and rest[0].isspace():
                rest = rest.lstrip()  # drop spaces at a line break
                continue
            head = head[: _break_at(head)]
            lines[-1].append((rest[: len(head)], tone))
            rest = rest[len(head) :]
            lines.append([(" " * indent, "")] if indent else [])
            left = max(1, width - indent)
            if not head and cell_len(rest[:1]) > left:
                break
        lines[-1].append((rest, tone))
        left -= cell_len(rest)
    return [tuple(spans) for spans in lines]


def wrapped(line: Iterable[Span], width: int) -> list[Line]:
    """Wrap the line between its words; a word that is longer than `width` cells is split."""
    rows: list[list[Span]] = [[]]
    left = width
    for text, tone in line:
        for word in _WORD.findall(printable(text)):
            n_cells = cells(word.rstrip())
            if n_cells > left and rows[-1]:
                rows.append([])
                left = width
            if n_cells > width:
                *whole, last = folded(((word, tone),), width)
                rows[-1:] = [*(list(part) for part in whole), list(last)]
                left = width - length(last)
            else:
                rows[-1].append((word, tone))
                left -= cells(word)
    return [_without_last_space(row, width) for row in rows]


def _without_last_space(row: list[Span], width: int) -> Line:
    """Return a line without the space after its last word if that has no room."""
    spans = list(row)
    while spans and length(spans) > width:
        text, tone = spans.pop()
        if word := text.rstrip():
            return (*spans, (word, tone))
    return tuple(spans)


class Ink:
    """Styles of one theme, by tone."""

    def __init__(self, variables: Mapping[str, str], *, dark: bool) -> None:
        """`variables` are a Textual app's `theme_variables`."""
        foreground = _colour(variables, "foreground", "#e0e0e0" if dark else "#1f1f1f")
        background = _colour(variables, "background", "#101010" if dark else "#ffffff")
        colours = {
            "": foreground,
            "dim": foreground.blend(background, 0.38),
            "faint": foreground.blend(background, 0.68),
            "good": _colour(variables, "success", "#4ec97b"),
            "warn": _colour(variables, "warning", "#e5b84b"),
            "bad": _colour(variables, "error", "#e5534b"),
            "info": _colour(variables, "secondary", "#5aa9e6"),
            "accent": _colour(variables, "accent", "#f2a65a"),
            "primary": _colour(variables, "primary", "#5aa9e6"),
        }
        self.track_colours = track_colours(dark=dark)
        for i, colour in enumerate(self.track_colours):
            colours[f"t{i}"] = Color.parse(colour)
        self._styles = {name: Style(color=c.rich_color) for name, c in colours.items()}
        self._styles |= {
            f"{name}!": Style(color=c.rich_color, bold=True) for name, c in colours.items()
        }

    def style(self, tone: str) -> Style:
        return self._styles[tone]

    def strip(self, line: Iterable[Span], width: int, base: Style) -> Strip:
        """Return the line as a strip of `width` cells on the background of `base`."""
        segments = [
            Segment(text, base + self._styles[tone]) for text, tone in fitted(line, width) if text
        ]
        return Strip(segments, width)


def _break_at(head: str) -> int:
    """Return where a line that begins with `head` is to end."""
    at = max(head.rfind(mark) for mark in _BREAKS) + 1
    return at if at > len(head) // 2 else len(head)


def _head(text: str, width: int) -> str:
    """Truncate the text to its first `width` cells."""
    if text.isascii() and text.isprintable():
        return text[:width]
    return set_cell_size(text, width)


def _colour(variables: Mapping[str, str], name: str, default: str) -> Color:
    try:
        return Color.parse(variables.get(name, default))
    except ColorParseError:
        return Color.parse(default)
