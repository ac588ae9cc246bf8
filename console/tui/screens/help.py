"""Help dialog: all keys on one page."""

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll

from console.tui.drawing.styled_text import Line
from console.tui.screens.dialog import Dialog
from console.tui.widgets.canvas import Lines

KEYS: dict[str, tuple[tuple[str, str], ...]] = {
    "Everywhere": (
        ("1 2 3 4", "Tasks, Live, Tracks, System"),
        ("ctrl+p", "command palette: every action by its name"),
        ("ctrl+t", "next theme: dark, light, high contrast"),
        ("tab", "next pane"),
        ("[ ]  { }", "move the border between panes; the mouse drags it, too"),
        ("? q", "this page; quit"),
    ),
    "Tasks": (
        ("enter", "follow the task in Live"),
        ("n", "submit a video"),
        ("/", "filter by words; esc clears it"),
        ("f t", "next status; next time window"),
        ("s S", "next sort key; reverse the order"),
        ("c", "cancel the task"),
        ("r e", "run it again; edit its request as a new task"),
        ("y Y", "copy its id; copy the curl command of its request"),
        ("x", "export its results as JSON or CSV"),
    ),
    "Live": (
        ("space", "hold the picture; again: back to live"),
        (", .", "one event back, one on"),
        ("< >", "ten events back, ten on"),
        ("b", "seek to a byte or a frame: 48213, f120"),
        ("l", "return to live"),
        ("p", "turn the preview off and on"),
        ("y Y", "copy the event; copy the curl command of the stream from here"),
        ("o", "open another task by its id"),
    ),
    "Tracks": (
        ("/", "search fields; enter searches"),
        ("m", "where else was this one: similar tracks"),
        ("w", "what looks like this: a few words"),
        ("enter", "follow the track's task in Live"),
        ("x", "export the list as CSV or JSON"),
        ("esc", "clear the search"),
    ),
}


class HelpScreen(Dialog[None]):
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q,question_mark", "leave", "Close", key_display="esc")
    ]

    def compose(self) -> ComposeResult:
        with VerticalScroll(classes="dialog-box -tall"):
            yield Lines(id="help-lines")

    def on_mount(self) -> None:
        self.query_one(Lines).show(help_lines())

    def action_leave(self) -> None:
        self.dismiss(None)


def help_lines() -> list[Line]:
    lines: list[Line] = []
    for title, keys in KEYS.items():
        if lines:
            lines.append(())
        lines.append(((title, "accent!"),))
        lines += [((f"  {key:<11}", "info!"), (what, "")) for key, what in keys]
    return lines
