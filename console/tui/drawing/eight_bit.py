"""Colours of a terminal that shows 256 of them. Pure.

Rich takes each channel by itself, and so makes of a dark grey with a trace of blue the navy
`#00005f`. Here it is the nearest of all colours, most often one of the 24 greys.
"""

from functools import lru_cache

from rich.color import Color, ColorType
from rich.segment import Segment
from rich.style import Style
from textual.color import Color as Background
from textual.filter import LineFilter

_LEVELS = (0, 95, 135, 175, 215, 255)
_CUBE, _GREYS = 16, 232
_N_GREYS = 24


class NearestOf256(LineFilter):
    """Replaces the colours of drawn lines by the nearest ones of the 256."""

    def apply(self, segments: list[Segment], background: Background) -> list[Segment]:  # noqa: ARG002 - Textual's signature
        return [
            Segment(text, _style(style) if style is not None else None, control)
            for text, style, control in segments
        ]


@lru_cache(8192)
def nearest(red: int, green: int, blue: int) -> int:
    """Return the number (16 to 255) of the nearest colour, by Euclidean distance in RGB."""
    channels = (red, green, blue)
    places = [_level(channel) for channel in channels]
    cube = _CUBE + 36 * places[0] + 6 * places[1] + places[2]
    grey = max(0, min(_N_GREYS - 1, round((sum(channels) / 3 - 8) / 10)))
    in_cube = sum((_LEVELS[i] - c) ** 2 for i, c in zip(places, channels, strict=True))
    in_greys = sum((8 + 10 * grey - c) ** 2 for c in channels)
    return _GREYS + grey if in_greys < in_cube else cube


def _level(channel: int) -> int:
    """Return the index of the nearest of the six levels of the colour cube."""
    return min(range(len(_LEVELS)), key=lambda i: abs(_LEVELS[i] - channel))


@lru_cache(8192)
def _style(style: Style) -> Style:
    return style + Style(color=_colour(style.color), bgcolor=_colour(style.bgcolor))


def _colour(colour: Color | None) -> Color | None:
    if colour is None or colour.type is not ColorType.TRUECOLOR or colour.triplet is None:
        return colour
    return Color.from_ansi(nearest(*colour.triplet))
