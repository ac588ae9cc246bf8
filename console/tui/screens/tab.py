"""Base class of the tabs."""

from collections.abc import Sequence

from textual.containers import Vertical
from textual.widget import Widget

from console.tui.api_session import ApiSession
from console.tui.keys import CHANGES
from console.tui.view_models.history import Place
from console.tui.widgets.topbar import TABS


class Tab(Vertical):
    """A tab of the console. `on_shown` and `on_hidden` are called when the user changes tabs."""

    def __init__(self, backend: ApiSession, name: str) -> None:
        super().__init__(id=name, classes="tab")
        self.backend = backend

    @property
    def title(self) -> str:
        """The tab's name, as in the header and in `KEYS`."""
        return dict(TABS)[self.id or ""]

    def on_shown(self) -> None:
        """Take the focus, and start to poll."""

    def on_hidden(self) -> None:
        """Stop to poll."""

    def place(self) -> Place:
        """Return what the tab shows, or will show once it is read; `PlaceChanged` tells of it."""
        return Place(self.id or "")

    def go(self, place: Place) -> None:
        """Show a place of this tab again; say so if its selection does not exist any more."""

    @property
    def columns(self) -> tuple[str, ...]:
        """The keys of the list's columns; empty if the tab has no list whose columns are chosen."""
        return ()

    def choose_columns(self, names: Sequence[str]) -> None:
        """Show these columns of the list; all of them for no names."""

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:  # noqa: ARG002 - Textual's signature
        """Whether the action, and its key, exist: no action that changes something if read-only."""
        return not (self.backend.readonly and action in CHANGES)

    def focus_now(self, widget: Widget) -> None:
        """Focus the widget before the next key; `Widget.focus` does it some time later."""
        self.screen.set_focus(widget)
