"""Prompt dialog for one line of text."""

from collections.abc import Callable
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.widgets import Input, Label

from console.tui.screens.dialog import Dialog


class PromptScreen(Dialog[str | None]):
    """Prompt for one line of text; `check` raises ValueError with the error message."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "leave", "Cancel")]

    def __init__(
        self,
        title: str,
        value: str = "",
        *,
        hint: str = "",
        check: Callable[[str], object] | None = None,
    ) -> None:
        super().__init__()
        self._title = title
        self._value = value
        self._hint = hint
        self._check = check

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog-box"):
            yield Label(self._title, classes="dialog-title", markup=False)
            yield Input(self._value, placeholder=self._hint, id="answer", compact=True)
            yield Label("", id="wrong", classes="wrong", markup=False)

    def on_input_submitted(self, message: Input.Submitted) -> None:
        message.stop()
        try:
            if self._check is not None:
                self._check(message.value)
        except ValueError as exc:
            self.query_one("#wrong", Label).update(str(exc))
            return
        self.dismiss(message.value)

    def action_leave(self) -> None:
        self.dismiss(None)
