"""Line-based widgets: a function returns styled lines, and only changed lines are repainted."""

from collections.abc import Callable, Sequence

from rich.style import Style
from textual.geometry import Region, Size
from textual.strip import Strip
from textual.widget import Widget

from console.tui.drawing.styled_text import Ink, Line, wrapped


def ink_of(widget: Widget) -> Ink:
    """Return the `Ink` of the app's theme, cached per theme."""
    app = widget.app
    key = app.current_theme.name
    known: tuple[str, Ink] | None = getattr(app, "_framewire_ink", None)
    if known is None or known[0] != key:
        known = (key, Ink(app.theme_variables, dark=app.current_theme.dark))
        app._framewire_ink = known  # type: ignore[attr-defined] # noqa: SLF001 - our own cache
    return known[1]


class Canvas(Widget):
    """Widget that shows the lines of `draw`; call `redraw()` after the data has changed.

    Only lines that differ from the shown ones are repainted, because terminals are slow.
    """

    def __init__(self, *, id: str | None = None, classes: str | None = None) -> None:  # noqa: A002 - Textual's name
        super().__init__(id=id, classes=classes)
        self._lines: Sequence[Line] | None = None
        self._drawn_at: Size | None = None
        self._base: Style | None = None

    def draw(self, width: int, height: int) -> Sequence[Line]:  # noqa: ARG002 - for subclasses
        """Return at most `height` lines; each is truncated or padded to `width` cells."""
        return ()

    def redraw(self) -> None:
        old, size = self._lines, self.size
        if old is None or self._drawn_at != size:
            self._lines = None
            self.refresh()
            return
        new = self._lines = self.draw(*size)
        changed = [y for y in range(size.height) if _line(old, y) != _line(new, y)]
        if changed:
            self.refresh(*(Region(0, y, size.width, 1) for y in changed))

    def render_line(self, y: int) -> Strip:
        width, height = self.size
        if self._lines is None or self._drawn_at != self.size:
            self._lines = self.draw(width, height)
            self._drawn_at = self.size
        if self._base is None:  # Textual computes it at every access
            self._base = self.rich_style
        return ink_of(self).strip(_line(self._lines, y), width, self._base)

    def notify_style_update(self) -> None:
        super().notify_style_update()
        self._lines = self._base = None


class Lines(Canvas):
    """Canvas that shows given lines; its height is their number."""

    def __init__(self, *, id: str | None = None, classes: str | None = None) -> None:  # noqa: A002 - Textual's name
        super().__init__(id=id, classes=classes)
        self._shown: Sequence[Line] = ()

    def show(self, lines: Sequence[Line]) -> None:
        """Replace the shown lines."""
        if lines == self._shown:
            return
        grown = len(lines) != len(self._shown)
        self._shown = lines
        if grown:
            self._lines = None
            self.refresh(layout=True)
        else:
            self.redraw()

    def draw(self, width: int, height: int) -> Sequence[Line]:  # noqa: ARG002 - cut when drawn
        return self._shown

    def get_content_height(self, container: Size, viewport: Size, width: int) -> int:  # noqa: ARG002
        return len(self._shown)


class Fitted(Canvas):
    """Canvas whose lines depend on its width; the stylesheet gives its height."""

    def __init__(self, *, id: str | None = None, classes: str | None = None) -> None:  # noqa: A002 - Textual's name
        super().__init__(id=id, classes=classes)
        self._lines_for: Callable[[int], Sequence[Line]] = lambda _: ()

    def show(self, lines_for: Callable[[int], Sequence[Line]]) -> None:
        """Show what `lines_for` returns for the width in cells."""
        self._lines_for = lines_for
        self.redraw()

    def draw(self, width: int, height: int) -> Sequence[Line]:  # noqa: ARG002 - cut when drawn
        return self._lines_for(width)


class Wrapped(Lines):
    """Lines that are wrapped to the widget's width; its height is what they need."""

    def show(self, lines: Sequence[Line]) -> None:
        if lines != self._shown:
            self._shown = lines
            self._lines = None
            self.refresh(layout=True)

    def draw(self, width: int, height: int) -> Sequence[Line]:  # noqa: ARG002 - cut when drawn
        return [part for line in self._shown for part in wrapped(line, max(1, width))]

    def get_content_height(self, container: Size, viewport: Size, width: int) -> int:  # noqa: ARG002
        return len(self.draw(width, 0))


def _line(lines: Sequence[Line], y: int) -> Line:
    return lines[y] if y < len(lines) else ()
