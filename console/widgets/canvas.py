"""Widgets that are drawn by a function from data to lines."""

from collections.abc import Sequence

from textual.geometry import Size
from textual.strip import Strip
from textual.widget import Widget

from console.ink import Ink, Line


def ink_of(widget: Widget) -> Ink:
    """Return the ink of the app's theme."""
    app = widget.app
    key = app.current_theme.name
    known: tuple[str, Ink] | None = getattr(app, "_framewire_ink", None)
    if known is None or known[0] != key:
        known = (key, Ink(app.theme_variables, dark=app.current_theme.dark))
        app._framewire_ink = known  # type: ignore[attr-defined] # noqa: SLF001 - our own cache
    return known[1]


class Canvas(Widget):
    """Draws the lines that `draw` returns; `redraw()` after the data changed."""

    def draw(self, width: int, height: int) -> Sequence[Line]:  # noqa: ARG002 - for those that draw
        """Return at most `height` lines; each is cut or filled to `width` cells."""
        return ()

    def redraw(self) -> None:
        self._lines: Sequence[Line] | None = None
        self.refresh()

    def render_line(self, y: int) -> Strip:
        width, height = self.size
        lines = getattr(self, "_lines", None)
        if lines is None or getattr(self, "_drawn_at", None) != self.size:
            lines = self._lines = self.draw(width, height)
            self._drawn_at: Size = self.size
            # Textual computes it anew each time it is asked.
            self._base = self.rich_style
        line: Line = lines[y] if y < len(lines) else ()
        return ink_of(self).strip(line, width, self._base)

    def notify_style_update(self) -> None:
        super().notify_style_update()
        self._lines = None


class Lines(Canvas):
    """A canvas that is given its lines; as high as they are."""

    def __init__(self, *, id: str | None = None, classes: str | None = None) -> None:  # noqa: A002 - Textual's name
        super().__init__(id=id, classes=classes)
        self._shown: Sequence[Line] = ()

    def show(self, lines: Sequence[Line]) -> None:
        """Draw these lines from now on."""
        if lines == self._shown:
            return
        grown = len(lines) != len(self._shown)
        self._shown = lines
        self._lines = None
        self.refresh(layout=grown)

    def draw(self, width: int, height: int) -> Sequence[Line]:  # noqa: ARG002 - cut when drawn
        return self._shown

    def get_content_height(self, container: Size, viewport: Size, width: int) -> int:  # noqa: ARG002
        return len(self._shown)
