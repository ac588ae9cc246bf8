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

    def move(self, n: int) -> None:
        """Enlarge the pane before it by `n` cells; a negative `n` shrinks it."""
        pane, whole = self._pane(), self._whole()
        self._resize(
            pane.outer_size.width + n if self._columns else pane.outer_size.height + n, whole
        )

    @property
    def _columns(self) -> bool:
        return self._across == "columns"

    def _pane(self) -> Widget:
        pane: Widget = self.parent.query_one(f"#{self._pane_id}")  # type: ignore[union-attr]
        return pane

    def _whole(self) -> int:
        size = self.parent.size  # type: ignore[union-attr]
        return int(size.width if self._columns else size.height)

    def _resize(self, cells: int, whole: int) -> None:
        share = max(LEAST, min(whole - LEAST - 1, cells)) * 100 / max(1, whole)
        pane = self._pane()
        if self._columns:
            pane.styles.width = f"{share:.2f}%"
        else:
            pane.styles.height = f"{share:.2f}%"

    def on_hide(self) -> None:
        """Reset the pane's size, because a narrow layout has its own sizes."""
        pane = self._pane()
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
        if not self._dragging:
            return
        region = self._pane().region
        at = event.screen_x - region.x if self._columns else event.screen_y - region.y
        self._resize(int(at), self._whole())

    def render_line(self, y: int) -> Strip:  # noqa: ARG002 - all lines are equal
        text = "│" if self._columns else "─" * self.size.width
        return ink_of(self).strip(((text, "faint"),), self.size.width, self.rich_style)
