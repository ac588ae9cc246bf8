"""Prompt dialogs: one line of text, and a yes/no confirmation."""

from collections.abc import Callable
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.widgets import Button, Input, Label

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


class ConfirmScreen(Dialog[bool]):
    """Confirmation of an action that cannot be undone."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("y", "answer(True)", "Yes"),
        Binding("n,escape", "answer(False)", "No"),
    ]

    def __init__(self, question: str, yes: str) -> None:
        super().__init__()
        self._question = question
        self._yes = yes

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog-box"):
            yield Label(self._question, classes="dialog-title", markup=False)
            with Horizontal(classes="dialog-buttons"):
                yield Button(f"{self._yes} (y)", variant="error", id="yes", compact=True)
                yield Button("No (n)", id="no", compact=True)

    def on_button_pressed(self, message: Button.Pressed) -> None:
        message.stop()
        self.dismiss(message.button.id == "yes")

    def action_answer(self, yes: bool) -> None:
        self.dismiss(yes)
