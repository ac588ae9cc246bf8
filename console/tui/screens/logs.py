"""Logs of the local stack's children, followed."""

import asyncio
from typing import ClassVar

from textual import on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.widgets import Label

from console.tui.messages import CopyText, PageText
from console.tui.screens.dialog import Dialog
from console.tui.view_models.log_book import (
    ALL,
    LINE_COLUMNS,
    ROLE_COLUMNS,
    LogBook,
    Logs,
    whole_line,
)
from console.tui.widgets.canvas import Wrapped
from console.tui.widgets.key_footer import KeyFooter
from console.tui.widgets.table import Listing

_LOOK_S = 0.5


class LogsScreen(Dialog[None]):
    """Shows what `logs` reads. While the last line is chosen, the newest one is."""

    AUTO_FOCUS = "#log-lines"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("left", "role(-1)", "Log before", key_display="←"),
        Binding("right", "role(1)", "Next log", key_display="→"),
        Binding("P", "page", "Open in $PAGER"),
        Binding("y", "copy", "Copy line"),
        Binding("escape,q,l", "leave", "Close", key_display="esc"),
    ]

    def __init__(self, logs: Logs) -> None:
        super().__init__()
        self._logs = logs
        self._book = LogBook()
        self._role = ALL
        self._is_following = True
        self._roles = Listing(ROLE_COLUMNS, id="log-roles", empty="no logs")
        self._lines = Listing(LINE_COLUMNS, id="log-lines", empty="reading …")
        self._line = Wrapped(id="log-line")
        self._title = Label("Logs of the local stack", id="logs-title", classes="dialog-title")

    def compose(self) -> ComposeResult:
        with Vertical(id="logs-box", classes="dialog-box"):
            yield self._title
            with Horizontal():
                yield self._roles
                yield self._lines
            yield self._line
        yield KeyFooter()

    def on_mount(self) -> None:
        self.call_after_refresh(self._follow)  # the last line is scrolled to: sizes are needed

    @work(exclusive=True, group="logs")
    async def _follow(self) -> None:
        while True:
            found = await asyncio.to_thread(self._logs.read)
            if found:
                self._book.take(found)
                self._draw()
            self._lines.say_empty("nothing was logged yet")
            await asyncio.sleep(_LOOK_S)

    def _draw(self) -> None:
        at = -1 if self._is_following else None
        self._roles.show(self._book.role_rows())
        self._lines.show(self._book.rows(self._role), at=at)
        self._draw_line()

    def _draw_line(self) -> None:
        self._line.show(whole_line(self._book.line(self._lines.key)))
        state = "followed" if self._is_following else "held; G follows again"
        which = "" if self._role == ALL else f", {self._role}"
        self._title.update(f"Logs of the local stack{which}: {state}")

    @on(Listing.Moved, "#log-lines")
    def _line_moved(self, message: Listing.Moved) -> None:
        if message.by_person:
            self._is_following = self._lines.cursor >= len(self._lines.rows) - 1
        self._draw_line()

    @on(Listing.Moved, "#log-roles")
    def _role_moved(self, message: Listing.Moved) -> None:
        if message.key is not None and message.key != self._role:
            self._role = message.key
            self._is_following = True
            self._draw()

    def action_role(self, n: int) -> None:
        keys = [row.key for row in self._roles.rows]
        if keys:
            self._roles.move_to(keys[(keys.index(self._role) + n) % len(keys)])

    def action_page(self) -> None:
        name = "framewire" if self._role == ALL else self._role
        self.post_message(PageText(self._book.text(self._role), f"{name}.log"))

    def action_copy(self) -> None:
        line = self._book.line(self._lines.key)
        self.post_message(CopyText(line, "Copied the line"))

    def action_leave(self) -> None:
        self.dismiss(None)
