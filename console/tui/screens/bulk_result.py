"""Dialog: an action on many tasks while it runs, and its result for each task."""

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.timer import Timer
from textual.widgets import Label

from console.tui.screens.confirm_many import listing_height
from console.tui.screens.dialog import Dialog
from console.tui.view_models.bulk_run import BulkRun
from console.tui.widgets.bulk_rendering import RESULT_COLUMNS, result_rows
from console.tui.widgets.key_footer import KeyFooter
from console.tui.widgets.table import Listing

_DRAW_S = 0.1


class BulkResultScreen(Dialog[None]):
    """Lists the tasks, each with its result; closing it does not stop the action."""

    AUTO_FOCUS = "#results"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "leave", "Close"),
        Binding("s", "stop", "Stop: send no more"),
    ]

    def __init__(self, run: BulkRun) -> None:
        super().__init__()
        self.run = run
        self._timer: Timer | None = None

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog-box -wide"):
            yield Label("", id="bulk-title", classes="dialog-title", markup=False)
            yield Label("", id="bulk-note", markup=False)
            yield Listing(RESULT_COLUMNS, id="results")
        yield KeyFooter()

    def on_mount(self) -> None:
        super().on_mount()
        self._draw()
        self._timer = self.set_interval(_DRAW_S, self._draw)

    def on_resize(self) -> None:
        height = listing_height(len(self.run.items), self.size.height)
        self.query_one(Listing).styles.height = height

    def _draw(self) -> None:
        is_over = self.run.is_over
        doing = "" if is_over else " so far …"
        self.query_one("#bulk-title", Label).update(f"{self.run.summary()}{doing}")
        note = self.query_one("#bulk-note", Label)
        note.update(self.run.note)
        note.display = bool(self.run.note)
        self.query_one(Listing).show(result_rows(self.run.items))
        if is_over:
            self.refresh_bindings()  # nothing is to be stopped any more
            if self._timer is not None:
                self._timer.stop()

    def action_stop(self) -> None:
        self.run.stop()
        self._draw()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:  # noqa: ARG002 - Textual's signature
        return action != "stop" or not self.run.is_over

    def action_leave(self) -> None:
        self.dismiss(None)
