"""List of alerts: what is wrong or was, newest first, each with a jump to it."""

from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.widgets import Label

from console.tui.alert_desk import AlertDesk
from console.tui.clock import Clock
from console.tui.screens.dialog import Dialog
from console.tui.view_models.alerts import ALERT_COLUMNS, Alert, alert_rows
from console.tui.widgets.canvas import Wrapped
from console.tui.widgets.key_footer import KeyFooter
from console.tui.widgets.table import Listing

_REDRAW_S = 1.0


class AlertsScreen(Dialog[Alert | None]):
    """The alerts as they are; answers the one to jump to. Those that are shown count as seen."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("x", "clear", "Remove what has ended"),
        Binding("escape,q,exclamation_mark", "leave", "Close", key_display="esc"),
    ]

    def __init__(self, desk: AlertDesk, clock: Clock) -> None:
        super().__init__()
        self._desk = desk
        self._clock = clock

    def compose(self) -> ComposeResult:
        with Vertical(id="alerts-box", classes="dialog-box -wide"):
            yield Label("Alerts: enter goes to it", classes="dialog-title")
            yield Listing(ALERT_COLUMNS, id="alerts", empty="Nothing happened since the start.")
            yield Wrapped(id="alert-text")
        yield KeyFooter()

    def on_mount(self) -> None:
        self.draw()
        self.set_interval(_REDRAW_S, self.draw)

    def draw(self) -> None:
        """Draw the alerts, and the chosen one's whole text."""
        rows = alert_rows(self._desk.book.alerts, self._clock.now())
        self.query_one(Listing).show(rows)
        self._desk.see_all()
        self._draw_text()

    def _draw_text(self) -> None:
        chosen = self._chosen
        lines = [] if chosen is None else [((chosen.condition.title, "!"),)]
        if chosen is not None and chosen.condition.detail:
            lines.append(((chosen.condition.detail, ""),))
        self.query_one("#alert-text", Wrapped).show(lines)

    @property
    def _chosen(self) -> Alert | None:
        return self._desk.book.get(self.query_one(Listing).key or "")

    @on(Listing.Moved, "#alerts")
    def _moved(self, message: Listing.Moved) -> None:
        message.stop()
        self._draw_text()

    @on(Listing.Chosen, "#alerts")
    def _listing_chosen(self, message: Listing.Chosen) -> None:
        message.stop()
        self.dismiss(self._desk.book.get(message.key))

    def action_clear(self) -> None:
        self._desk.book.clear_ended()
        self.draw()

    def action_leave(self) -> None:
        self.dismiss(None)
