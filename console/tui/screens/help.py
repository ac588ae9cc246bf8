"""Help dialog: all keys on one page."""

from collections.abc import Mapping
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll

from console.tui.drawing.styled_text import Line
from console.tui.keys import KEYS, Key, help_rows
from console.tui.screens.dialog import Dialog
from console.tui.widgets.canvas import Lines

_KEY_CELLS = 16


class HelpScreen(Dialog[None]):
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q,question_mark", "leave", "Close", key_display="esc")
    ]

    def __init__(
        self, *, readonly: bool, keys: Mapping[str, tuple[Key, ...]] | None = None
    ) -> None:
        """`keys` is the table as the keymap has it."""
        super().__init__()
        self._keys = KEYS if keys is None else keys
        self._readonly = readonly

    def compose(self) -> ComposeResult:
        with VerticalScroll(classes="dialog-box -tall"):
            yield Lines(id="help-lines")

    def on_mount(self) -> None:
        self.query_one(Lines).show(help_lines(self._keys, readonly=self._readonly))

    def action_leave(self) -> None:
        self.dismiss(None)


def help_lines(keys_by_tab: Mapping[str, tuple[Key, ...]], *, readonly: bool) -> list[Line]:
    """Return the keys by tab; if `readonly`, without those that change something."""
    lines: list[Line] = []
    for title, keys in keys_by_tab.items():
        if lines:
            lines.append(())
        lines.append(((title, "accent!"),))
        rows = help_rows(keys, readonly=readonly)
        lines += [((f"  {key:<{_KEY_CELLS}} ", "info!"), (what, "")) for key, what in rows]
    return lines
