"""Command line: one line of text with completion, opened by `:`."""

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.widgets import Input, Label

from console.tui.drawing.styled_text import Line
from console.tui.screens.dialog import Dialog
from console.tui.view_models.command_line import (
    COMMANDS,
    MAX_LENGTH,
    MAX_SHOWN,
    Command,
    Names,
    completed,
    completions,
    parse,
)
from console.tui.widgets.canvas import Lines

_NAME_CELLS = 24


class CommandScreen(Dialog[Command | None]):
    """Returns the command; one that cannot be understood stays, and is told why."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "leave", "Cancel"),
        Binding("tab", "complete", "Complete", priority=True),
    ]

    def __init__(self, names: Names) -> None:
        super().__init__()
        self._names = names

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog-box"):
            yield Input(placeholder="a command", id="command", compact=True, max_length=MAX_LENGTH)
            yield Label("", id="wrong", classes="wrong", markup=False)
            yield Lines(id="completions")

    def on_mount(self) -> None:
        super().on_mount()
        self._show("")

    def on_input_changed(self, message: Input.Changed) -> None:
        message.stop()
        self._show(message.value)

    def on_input_submitted(self, message: Input.Submitted) -> None:
        message.stop()
        try:
            command = parse(message.value, self._names)
        except ValueError as exc:
            self.query_one("#wrong", Label).update(str(exc))
            return
        self.dismiss(command)

    def action_complete(self) -> None:
        field = self.query_one(Input)
        field.value = completed(field.value, self._names)
        field.cursor_position = len(field.value)

    def action_leave(self) -> None:
        self.dismiss(None)

    def _show(self, text: str) -> None:
        self.query_one("#wrong", Label).update("")
        found = completions(text, self._names)
        lines: list[Line] = []
        for one in found[:MAX_SHOWN]:
            word, _, argument = one.strip().partition(" ")
            kind = COMMANDS.get(word)
            does = kind.does if kind is not None and not argument else ""
            takes = f" {kind.takes.upper()}" if kind is not None and does and kind.takes else ""
            lines.append(
                ((f"{one.strip()}{takes}".ljust(_NAME_CELLS), "info!"), (f" {does}", "dim"))
            )
        if len(found) > MAX_SHOWN:
            lines.append(((f"and {len(found) - MAX_SHOWN} more", "faint"),))
        self.query_one("#completions", Lines).show(lines)
