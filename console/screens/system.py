"""The System tab."""

from textual.containers import Vertical

from console.backend import Backend


class SystemTab(Vertical):
    """Workers, parts and lag."""

    def __init__(self, backend: Backend, poll_s: float) -> None:
        super().__init__(id="system", classes="tab")
        self.backend = backend
        self._poll_s = poll_s

    def on_shown(self) -> None:
        """Begin to ask."""

    def on_hidden(self) -> None:
        """Stop asking."""
