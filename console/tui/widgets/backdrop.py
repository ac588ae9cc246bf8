"""What is drawn behind a dialog: the screen below it, tinted."""

from functools import lru_cache

from rich.segment import Segment
from rich.style import Style as RichStyle
from textual.color import Color
from textual.css.styles import RulesMap
from textual.renderables.background_screen import BackgroundScreen
from textual.strip import Strip
from textual.style import Style
from textual.visual import RenderOptions, Visual


class Backdrop(Visual):
    """Draws the same as Textual's `BackgroundScreen`, but tints each style only once."""

    def __init__(self, behind: BackgroundScreen) -> None:
        self._screen = behind.screen
        self._color = behind.color

    def render_strips(
        self,
        width: int,
        height: int | None,
        style: Style,
        options: RenderOptions,  # noqa: ARG002 - Textual's signature
    ) -> list[Strip]:
        base, color = style.rich_style, self._color
        below = self._screen._compositor.render_strips()[:height]  # noqa: SLF001 - as Textual draws it
        return [_tinted_strip(strip, base, color).crop(0, width) for strip in below]

    def get_optimal_width(self, rules: RulesMap, container_width: int) -> int:  # noqa: ARG002
        return container_width

    def get_height(self, rules: RulesMap, width: int) -> int:  # noqa: ARG002
        return self._screen.size.height


def _tinted_strip(strip: Strip, base: RichStyle, color: Color) -> Strip:
    return Strip(
        [Segment(text, _tinted(style or _NONE, base, color)) for text, style, _ in strip],
        strip.cell_length,
    )


_NONE = RichStyle()


@lru_cache(maxsize=4096)
def _tinted(style: RichStyle, base: RichStyle, color: Color) -> RichStyle:
    """Return the style with both of its colours tinted, on `base`."""
    segment = Segment("", style)
    (tinted,) = BackgroundScreen.process_segments([segment], color)
    return base + (tinted.style or _NONE)
