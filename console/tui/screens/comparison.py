"""Screen: two tasks compared by their tracks, a row for each difference."""

from collections.abc import Callable
from contextlib import suppress
from typing import ClassVar

from textual import on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.widgets import Label

from console.comparison.report import Comparison
from console.comparison.rerun import Change
from console.comparison.result import Subject
from console.errors import ConsoleError
from console.tui.api_session import ApiSession
from console.tui.drawing.styled_text import folded
from console.tui.messages import OpenTask
from console.tui.screens.dialog import Dialog
from console.tui.task_comparison import (
    read_comparison,
    read_likeness,
    second_subject,
    wait_for_success,
)
from console.tui.widgets.canvas import Lines
from console.tui.widgets.comparison_rendering import (
    DIFFERENCE_COLUMNS,
    difference_rows,
    head_lines,
)
from console.tui.widgets.key_footer import KeyFooter
from console.tui.widgets.table import Listing


class ComparisonScreen(Dialog[None]):
    """Compares `first` with the task `other`, or with a second run that has that change.

    A second run is a task like any other: it goes on when this screen is closed. `reload` is called
    once it is submitted.
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter,a", "show('a')", "Show in Live", key_display="enter"),
        Binding("b", "show('b')", "The other task in Live"),
        Binding("f", "show_first", "First frame that differs"),
        Binding("escape", "leave", "Close"),
    ]

    def __init__(
        self,
        backend: ApiSession,
        first: Subject,
        other: str | Change,
        reload: Callable[[], object],
    ) -> None:
        super().__init__()
        self._backend = backend
        self._first = first
        self._other = other
        self._reload = reload
        self.comparison: Comparison | None = None

    def compose(self) -> ComposeResult:
        with Vertical(id="comparison-box"):
            yield Label("Tracks of two tasks", classes="dialog-title")
            yield Lines(id="comparison-head")
            yield Listing(DIFFERENCE_COLUMNS, id="differences")
        yield KeyFooter()

    def on_mount(self) -> None:
        self.query_one(Listing).focus()
        self._compare()

    @work(exclusive=True, group="compare")
    async def _compare(self) -> None:
        backend, first = self._backend, self._first
        head = self.query_one("#comparison-head", Lines)
        try:
            second = await second_subject(backend, first, self._other, self._say)
            if isinstance(self._other, Change):
                self._reload()
            for subject in (first, second):
                await wait_for_success(backend, subject.task, self._say)
            found, fold = await read_comparison(backend, first, second, self._say)
        except ConsoleError as exc:
            head.show(folded([(str(exc), "bad")], max(20, head.size.width)))
            self._say("Not compared.")
            return
        head.show(head_lines(found, head.size.width))
        self._say("Both tasks have the same tracks.")
        self._show(found)
        with suppress(ConsoleError):  # what differs is known without it
            self._show(await read_likeness(backend, found, fold))

    def _show(self, found: Comparison) -> None:
        self.comparison = found
        self.query_one("#differences", Listing).show(difference_rows(found))

    def _say(self, text: str) -> None:
        self.query_one("#differences", Listing).say_empty(text)

    @on(Listing.Chosen, "#differences")
    def _chosen(self, message: Listing.Chosen) -> None:
        message.stop()
        self.action_show("a")

    def action_show(self, side: str) -> None:
        """Close, and hold the frame of the chosen difference in Live."""
        found, key = self.comparison, self.query_one("#differences", Listing).key
        if found is None or key is None:
            return
        one = found.differences[int(key)]
        task, offset = (found.a, one.offset) if side == "a" else (found.b, one.offset_b)
        self._hold(task.task, offset)

    def action_show_first(self) -> None:
        """Close, and hold the first task's first frame that differs in Live."""
        if self.comparison is not None and self.comparison.first is not None:
            self._hold(self.comparison.a.task, self.comparison.first.offset)

    def _hold(self, task_id: str, offset: int) -> None:
        self.app.post_message(OpenTask(task_id, offset))
        self.dismiss(None)

    def action_leave(self) -> None:
        self.dismiss(None)
