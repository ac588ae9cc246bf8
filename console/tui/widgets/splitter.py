"""Splitter between two panes: dragged with the mouse, or moved by a key of its tab."""

from typing import Literal

from textual import events
from textual.strip import Strip
from textual.widget import Widget

from console.tui.widgets.canvas import ink_of

LEAST = 6


class Splitter(Widget):
    """Splitter that sets the size of the pane before it; the pane after it gets the rest."""

    DEFAULT_CSS = """
    Splitter { background: $background; pointer: ew-resize;
        &.-columns { width: 1; height: 100%; }
        &.-rows { width: 100%; height: 1; pointer: ns-resize; }
        &:hover { background: $primary 20%; }
    }
    """

    def __init__(
        self,
        pane: str,
        across: Literal["columns", "rows"],
        *,
        id: str | None = None,  # noqa: A002 - Textual's name
    ) -> None:
        """`pane` is the id of the widget before it."""
        super().__init__(id=id, classes=f"-{across}")
        self._pane_id = pane
        self._across = across
        self._dragging = False
        self.share: float | None = None
        """The share of the pane before it in percent, if it was moved; it is kept."""

    def move(self, n: int) -> None:
        """Enlarge the pane before it by `n` cells; a negative `n` shrinks it."""
        pane, whole = self._pane(), self._whole()
        if pane is not None:
            size = pane.outer_size
            self._resize((size.width if self._columns else size.height) + n, whole)

    @property
    def _columns(self) -> bool:
        return self._across == "columns"

    def _pane(self) -> Widget | None:
        """Return the pane before it; None while both are being removed."""
        siblings = () if self.parent is None else self.parent.query(f"#{self._pane_id}")
        return next(iter(siblings), None)

    def _whole(self) -> int:
        size = self.parent.size  # type: ignore[union-attr]
        return int(size.width if self._columns else size.height)

    def _resize(self, cells: int, whole: int) -> None:
        self.share = max(LEAST, min(whole - LEAST - 1, cells)) * 100 / max(1, whole)
        self.on_show()

    def on_show(self) -> None:
        """Give the pane its size again, if the splitter was moved before it was hidden."""
        pane = self._pane()
        if pane is None or self.share is None:
            return
        if self._columns:
            pane.styles.width = f"{self.share:.2f}%"
        else:
            pane.styles.height = f"{self.share:.2f}%"

    def on_hide(self) -> None:
        """Reset the pane's size, because a narrow layout has its own sizes."""
        pane = self._pane()
        if pane is None:
            return
        if self._columns:
            pane.styles.width = None
        else:
            pane.styles.height = None

    def on_mouse_down(self, event: events.MouseDown) -> None:
        self._dragging = True
        self.capture_mouse()
        event.stop()

    def on_mouse_up(self, event: events.MouseUp) -> None:
        self._dragging = False
        self.release_mouse()
        event.stop()

    def on_mouse_move(self, event: events.MouseMove) -> None:
        pane = self._pane()
        if not self._dragging or pane is None:
            return
        region = pane.region
        at = event.screen_x - region.x if self._columns else event.screen_y - region.y
        self._resize(int(at), self._whole())

    def render_line(self, y: int) -> Strip:  # noqa: ARG002 - all lines are equal
        text = "│" if self._columns else "─" * self.size.width
        return ink_of(self).strip(((text, "faint"),), self.size.width, self.rich_style)
