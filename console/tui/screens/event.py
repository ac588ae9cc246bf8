"""Dialog with one event of a task's log as formatted JSON."""

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical, VerticalScroll
from textual.widgets import Label

from console.tui.drawing.json_text import formatted_json, json_lines
from console.tui.messages import CopyText, PageText
from console.tui.screens.dialog import Dialog
from console.tui.widgets.canvas import Wrapped
from console.tui.widgets.key_footer import KeyFooter


class EventScreen(Dialog[None]):
    """Shows `data`, the event's JSON."""

    AUTO_FOCUS = "#event-scroll"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q,v", "leave", "Close", key_display="esc"),
        Binding("y", "copy", "Copy"),
        Binding("P", "page", "Open in $PAGER"),
        Binding("j", "scroll(1)", show=False),
        Binding("k", "scroll(-1)", show=False),
        Binding("g", "edge(-1)", show=False),
        Binding("G", "edge(1)", show=False),
    ]

    def __init__(self, title: str, data: bytes) -> None:
        super().__init__()
        self._title = title
        self._text = formatted_json(data)

    def compose(self) -> ComposeResult:
        with Vertical(id="event-box"):
            yield Label(self._title, classes="dialog-title", markup=False)
            with VerticalScroll(id="event-scroll", can_focus=True):
                yield Wrapped(id="event-lines")
        yield KeyFooter()

    def on_mount(self) -> None:
        self.query_one("#event-lines", Wrapped).show(json_lines(self._text))

    def action_copy(self) -> None:
        self.post_message(CopyText(self._text, "Copied the formatted event"))

    def action_page(self) -> None:
        self.post_message(PageText(self._text, "event.json"))

    def action_scroll(self, n: int) -> None:
        self.query_one("#event-scroll").scroll_relative(y=n, animate=False)

    def action_edge(self, n: int) -> None:
        scroll = self.query_one("#event-scroll")
        scroll.scroll_home(animate=False) if n < 0 else scroll.scroll_end(animate=False)

    def action_leave(self) -> None:
        self.dismiss(None)
