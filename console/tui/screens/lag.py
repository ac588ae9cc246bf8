"""Consumer lag over the last hour: a pane of the System tab, and a page of its own."""

import asyncio
from collections.abc import Sequence
from typing import ClassVar

from textual import work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.widgets import Label

from api.contract.system import SystemHistory
from console.client import calls
from console.errors import ConsoleError
from console.tui.api_session import ApiSession
from console.tui.screens.dialog import Dialog
from console.tui.view_models.worker_history import Curve, lag_curves
from console.tui.widgets.curves import Curves
from console.tui.widgets.key_footer import KeyFooter

POLL_S = 10.0
_POINTS = (30, 240)
_LEAST_LINES = 3
"""Of a curve and its title; with less room for each, one curve is shown."""


class LagCurves(Curves):
    """The lag of all groups, or in a low pane of the one at `chosen`."""

    def __init__(self, *, id: str) -> None:  # noqa: A002 - Textual's name
        super().__init__(self._choose, id=id)
        self.border_title = "last hour"
        self.chosen: str | None = None

    def _choose(self, history: SystemHistory, height: int) -> Sequence[Curve]:
        found = lag_curves(history)
        if len(found) * _LEAST_LINES <= height:
            return list(found.values())
        first = next(iter(found.values()), None)
        one = found.get(self.chosen or "", first)
        return [] if one is None else [one]

    async def poll(self, backend: ApiSession) -> None:
        """Read the history again and again, as long as this is awaited."""
        least, most = _POINTS
        while True:
            points = max(least, min(most, self.size.width or least))
            try:
                found = await backend.ask(calls.system_history(only="lag", points=points))
                self.show(found)
            except ConsoleError as exc:
                self.show(None, str(exc))
            await asyncio.sleep(max(POLL_S, backend.link.pause_s))


class LagScreen(Dialog[None]):
    """The curves of all groups, for a terminal whose System tab has no room for them."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q,enter", "leave", "Close", key_display="esc")
    ]

    def __init__(self, backend: ApiSession) -> None:
        super().__init__()
        self._backend = backend

    def compose(self) -> ComposeResult:
        with Vertical(id="lag-box", classes="dialog-box"):
            yield Label("Consumer lag: the last hour", classes="dialog-title", markup=False)
            yield LagCurves(id="all-lag-curves")
        yield KeyFooter()

    def on_mount(self) -> None:
        self._poll()

    @work(exclusive=True, group="history")
    async def _poll(self) -> None:
        await self.query_one(LagCurves).poll(self._backend)

    def action_leave(self) -> None:
        self.dismiss(None)
