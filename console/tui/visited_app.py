"""Textual application with tabs, whose places are gone back and forward to."""

from textual.reactive import reactive

from api.contract.query.terms import QueryError
from console.tui.messages import OpenPlace, PlaceChanged
from console.tui.ordered_keys import OrderedKeysApp
from console.tui.screens.tab import Tab
from console.tui.view_models.history import History, Place
from console.tui.widgets.table import Listing


class VisitedApp(OrderedKeysApp[None]):
    """Notes what its tabs show; assign `active` to change the tab."""

    active: reactive[str] = reactive("tasks", init=False)

    def __init__(self) -> None:
        super().__init__()
        self.history = History(Place("tasks"))
        self._is_returning = False

    @property
    def tab(self) -> Tab:
        """The shown tab."""
        return self.query_one(f"#{self.active}", Tab)

    def visit(self, place: Place) -> None:
        """Show a place; it comes after the current one."""
        self.active = self._take_place(place) or self.active

    def begin_at(self, tab: str) -> None:
        """Show a tab as the first place."""
        if tab == self.active:
            self.tab.on_shown()
        else:
            self._is_returning = True
            self.active = tab
            self._is_returning = False
        self.history = History(self.tab.place())

    def on_open_place(self, message: OpenPlace) -> None:
        self.visit(message.place)

    def on_place_changed(self, _: PlaceChanged) -> None:
        self._note_place(self.active)

    def on_listing_moved(self, message: Listing.Moved) -> None:
        if message.by_person:
            self._note_place(self.active)

    def _note_place(self, tab: str) -> None:
        if not self._is_returning:
            self.history.note(self.query_one(f"#{tab}", Tab).place())

    def action_go_back(self) -> None:
        self._note_place(self.active)
        self._return_to(self.history.back(), "There is no place to go back to.")

    def action_go_forward(self) -> None:
        self._note_place(self.active)
        self._return_to(self.history.forward(), "There is no place to go forward to.")

    def _return_to(self, place: Place | None, otherwise: str) -> None:
        if place is None:
            self.notify(otherwise, timeout=2)
            return
        self._is_returning = True
        try:
            self.query_one(f"#{place.tab}", Tab).go(place)
            self.active = place.tab
        finally:
            self._is_returning = False

    def _take_place(self, place: Place) -> str | None:
        """Let a tab show a place; return the tab, or None if it cannot, which is told."""
        self._note_place(self.active)
        try:
            self.query_one(f"#{place.tab}", Tab).go(place)
        except QueryError as exc:
            self.notify(str(exc), title="Not a query", severity="error")
            return None
        return place.tab
