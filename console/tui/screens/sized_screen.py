"""Screens whose widgets have their final styles from the start."""

from collections.abc import Sequence
from typing import Any

from textual import events
from textual.screen import Screen


class SizedScreen(Screen[Any]):
    """Knows the classes for its size before its widgets are made.

    Textual (8.2) makes and styles the widgets, styles them again when the screen is shown, and once
    more when it is told its size, which sets the classes of the breakpoints.
    """

    def on_compose(self) -> None:
        width, height = self.app.size
        across, down = self.app.HORIZONTAL_BREAKPOINTS or (), self.app.VERTICAL_BREAKPOINTS or ()
        shown = {_class_at(width, across), _class_at(height, down)}
        self.update_classes({name: name in shown for _, name in (*across, *down)}, animate=False)

    def on_screen_resume(self, event: events.ScreenResume) -> None:
        event.refresh_styles = False


def _class_at(n_cells: int, breakpoints: Sequence[tuple[int, str]]) -> str | None:
    """Return the class of the largest breakpoint that is not above the size."""
    return next((name for least, name in sorted(breakpoints, reverse=True) if n_cells >= least), "")
