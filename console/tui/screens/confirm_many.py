"""Dialog that asks before an action on many tasks, and lists each of them."""

from collections.abc import Callable, Sequence
from datetime import datetime

from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical
from textual.widgets import Button, Label

from console.tui.drawing.styled_text import Line
from console.tui.drawing.table_layout import LazyRows
from console.tui.screens.confirm import ConfirmScreen
from console.tui.view_models.task_list import TaskView
from console.tui.widgets.canvas import Wrapped
from console.tui.widgets.table import Listing
from console.tui.widgets.task_rendering import BRIEF_COLUMNS, brief_row

_OTHER_LINES = 15  # of the dialog, and around it
_MOST_LINES = 17


def listing_height(n_rows: int, screen_height: int) -> int:
    """Return the lines for a dialog's list with that many rows, on a screen of that height."""
    return max(3, min(n_rows + 1, _MOST_LINES, screen_height - _OTHER_LINES))


class ConfirmManyScreen(ConfirmScreen):
    """Asks about the tasks `task_ids`, which do not change while it is open; their states may.

    `view` returns the last known state of one of them.
    """

    def __init__(
        self,
        question: str,
        yes: str,
        facts: Sequence[Line],
        task_ids: Sequence[str],
        view: Callable[[str], TaskView],
        now: Callable[[], datetime],
    ) -> None:
        super().__init__(question, yes, lambda: facts)
        self.task_ids = tuple(task_ids)
        self._view = view
        self._now = now

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog-box -wide"):
            yield Label(self._question, classes="dialog-title", markup=False)
            yield Wrapped(id="facts")
            yield Listing(BRIEF_COLUMNS, id="asked-about")
            with Horizontal(classes="dialog-buttons"):
                yield Button(f"{self._yes} (y)", variant="error", id="yes", compact=True)
                yield Button("No (n)", id="no", compact=True)

    def on_resize(self) -> None:
        self.query_one(Listing).styles.height = listing_height(len(self.task_ids), self.size.height)

    def _draw_facts(self) -> None:
        super()._draw_facts()
        now = self._now()
        self.query_one(Listing).show(
            LazyRows(self.task_ids, lambda task_id: brief_row(self._view(task_id), now))
        )
