"""The Tracks tab."""

from textual.containers import Vertical

from console.backend import Backend


class TracksTab(Vertical):
    """Tracks of all tasks."""

    def __init__(self, backend: Backend, *, graphics: bool) -> None:
        super().__init__(id="tracks", classes="tab")
        self.backend = backend
        self._graphics = graphics

    def on_shown(self) -> None:
        """Nothing is asked before a search."""

    def on_hidden(self) -> None:
        """Nothing runs."""

    def search_similar(self, track: str) -> None:
        """Search for tracks that look like `task:track`."""
