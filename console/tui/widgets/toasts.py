"""Toasts that go without a trace."""

from typing import Any

from textual.screen import Screen
from textual.widgets._toast import Toast


def paint_behind_toasts(screen: Screen[Any]) -> None:
    """Paint the screen anew when a toast has gone.

    Textual (8.2) paints what a removed widget covered by comparing two layouts; after something
    was scrolled, the earlier one may already be without the widget, and its picture stays.
    """
    n_toasts = 0

    def count(_: object) -> None:
        nonlocal n_toasts
        before, n_toasts = n_toasts, len(screen.query(Toast))
        if n_toasts < before:
            screen.refresh()

    screen.screen_layout_refresh_signal.subscribe(screen, count)
