"""Workaround for Textual: repaint the area of a removed toast."""

from typing import Any

from textual.screen import Screen
from textual.widgets._toast import ToastRack


def paint_behind_toasts(screen: Screen[Any]) -> None:
    """Refresh the screen whenever a toast was removed.

    Textual (8.2) compares two layouts to repaint the area of a removed widget. After a scroll, the
    earlier layout may already be without the widget, and the toast's image remains on the screen.
    """
    n_toasts = 0

    def count(_: object) -> None:
        nonlocal n_toasts
        before, n_toasts = n_toasts, _count(screen)
        if n_toasts < before:
            screen.refresh()

    screen.screen_layout_refresh_signal.subscribe(screen, count)


def _count(screen: Screen[Any]) -> int:
    """Return the number of toasts, each in a holder, without a walk through all widgets."""
    racks = (child for child in screen.children if isinstance(child, ToastRack))
    return sum(len(holder.children) for rack in racks for holder in rack.children)
