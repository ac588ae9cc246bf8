"""Dialog that asks before an action that cannot be undone."""

from collections.abc import Callable, Sequence
from typing import ClassVar

from textual import events
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.widgets import Button, Label

from console.tui.drawing.styled_text import Line
from console.tui.screens.dialog import Dialog
from console.tui.widgets.canvas import Wrapped

_FACTS_S = 0.5


class ConfirmScreen(Dialog[bool]):
    """Asks a question; `facts` returns what it is about, as lines, and is read again periodically.

    Only `y`, or the button, says yes. "No" has the focus, and any other letter is a no: a word that
    was meant for a filter, or a second enter, does nothing.
    """

    AUTO_FOCUS = "#no"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("y", "answer(True)", "Yes"),
        Binding("n,escape", "answer(False)", "No"),
        Binding("left,up", "app.focus_previous", "Button before", show=False),
        Binding("right,down", "app.focus_next", "Next button", show=False),
    ]

    def __init__(
        self, question: str, yes: str, facts: Callable[[], Sequence[Line]] | None = None
    ) -> None:
        """`yes` is the text of the button that confirms."""
        super().__init__()
        self._question = question
        self._yes = yes
        self._facts = facts

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog-box"):
            yield Label(self._question, classes="dialog-title", markup=False)
            if self._facts is not None:
                yield Wrapped(id="facts")
            with Horizontal(classes="dialog-buttons"):
                yield Button(f"{self._yes} (y)", variant="error", id="yes", compact=True)
                yield Button("No (n)", id="no", compact=True)

    def on_mount(self) -> None:
        self._draw_facts()
        if self._facts is not None:
            self.set_interval(_FACTS_S, self._draw_facts)

    def on_key(self, event: events.Key) -> None:
        if event.is_printable and event.key not in {"y", "n", "space"}:
            event.stop()
            self.dismiss(False)

    def on_button_pressed(self, message: Button.Pressed) -> None:
        message.stop()
        self.dismiss(message.button.id == "yes")

    def action_answer(self, yes: bool) -> None:
        self.dismiss(yes)

    def _draw_facts(self) -> None:
        if self._facts is not None:
            self.query_one("#facts", Wrapped).show(self._facts())
