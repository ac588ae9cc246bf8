"""Events of the wall's tasks in one list, by time."""

from collections.abc import Callable, Sequence
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.widgets import Label

from console.tui.clock import Clock
from console.tui.drawing.formatting import grouped
from console.tui.screens.dialog import Dialog
from console.tui.screens.event import EventScreen
from console.tui.view_models.merged_log import MergedEvent, TaskLog, complete_from_ms, merge
from console.tui.widgets.key_footer import KeyFooter
from console.tui.widgets.merged_rendering import MERGED_COLUMNS, MergedRows
from console.tui.widgets.table import Listing

_DRAW_S = 0.5


class MergedLogScreen(Dialog[MergedEvent | None]):
    """The events that `logs` returns; answers the one to hold in Live.

    The newest one is followed while the cursor is at the end.
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("v", "view", "View"),
        Binding("escape,q,m", "leave", "Close", key_display="esc"),
    ]

    def __init__(self, logs: Callable[[], Sequence[TaskLog]], clock: Clock) -> None:
        super().__init__()
        self._logs = logs
        self._clock = clock
        self._events: Sequence[MergedEvent] = ()
        self._title = Label("", classes="dialog-title", markup=False)
        self._listing = Listing(MERGED_COLUMNS, id="merged", empty="no event yet")

    def compose(self) -> ComposeResult:
        with Vertical(id="merged-box", classes="dialog-box -wide"):
            yield self._title
            yield self._listing
        yield KeyFooter()

    def on_mount(self) -> None:
        super().on_mount()
        self.draw()
        self.set_interval(_DRAW_S, self.draw)

    def draw(self) -> None:
        """Draw the events as they are now."""
        logs = self._logs()
        is_at_end = self._listing.cursor >= len(self._events) - 1
        self._events = merge(logs)
        since_ms = complete_from_ms(logs)
        tasks = f"{len(logs)} task{'' if len(logs) == 1 else 's'}"
        text = f"{grouped(len(self._events))} events of {tasks}, by time"
        if since_ms is not None:
            text += f"; before {self._clock.local(since_ms):%H:%M:%S} some are left out"
        self._title.update(text)
        rows = MergedRows(self._events, self._clock.local)
        self._listing.show(rows, at=-1 if is_at_end else None)

    @property
    def _chosen(self) -> MergedEvent | None:
        key = self._listing.key
        return next((event for event in self._events if event.key == key), None)

    @on(Listing.Chosen, "#merged")
    def _listing_chosen(self, message: Listing.Chosen) -> None:
        message.stop()
        self.dismiss(self._chosen)

    def action_view(self) -> None:
        """Show the whole event as JSON."""
        event = self._chosen
        if event is not None:
            title = f"{event.task_id}, byte {grouped(event.line.start)}"
            self.app.push_screen(EventScreen(title, event.line.data))

    def action_leave(self) -> None:
        self.dismiss(None)
