"""A worker's page: its facts, and CPU, memory, tasks at work and frames/s over the last hour."""

import asyncio
from collections.abc import Callable
from typing import ClassVar

from textual import work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.widgets import Label

from api.contract.system import WorkerResource
from console.client import calls
from console.errors import ConsoleError
from console.tui.api_session import ApiSession
from console.tui.screens.dialog import Dialog
from console.tui.view_models.worker_history import curves, worker_lines
from console.tui.widgets.canvas import Wrapped
from console.tui.widgets.curves import Curves
from console.tui.widgets.key_footer import KeyFooter

_POLL_S = 10.0
_REDRAW_S = 1.0
_POINTS = (30, 240)


class WorkerScreen(Dialog[None]):
    """The page of the worker `worker_id`; `find` returns its newest state, None if it is gone."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q,enter", "leave", "Close", key_display="esc")
    ]

    def __init__(
        self, backend: ApiSession, worker_id: str, find: Callable[[], WorkerResource | None]
    ) -> None:
        super().__init__()
        self._backend = backend
        self._worker_id = worker_id
        self._find = find

    def compose(self) -> ComposeResult:
        with Vertical(id="worker-box", classes="dialog-box"):
            yield Label(
                f"Worker {self._worker_id}: the last hour", classes="dialog-title", markup=False
            )
            yield Wrapped(id="worker-facts")
            yield Curves(lambda found, _: curves(found, self._worker_id), id="worker-curves")
        yield KeyFooter()

    def on_mount(self) -> None:
        self._draw_facts()
        self.set_interval(_REDRAW_S, self._draw_facts)
        self._poll()

    def _draw_facts(self) -> None:
        worker = self._find()
        if worker is not None:
            now = self._backend.clock.now()
            self.query_one("#worker-facts", Wrapped).show(worker_lines(worker, now))

    @work(exclusive=True, group="history")
    async def _poll(self) -> None:
        shown = self.query_one(Curves)
        least, most = _POINTS
        while True:
            points = max(least, min(most, shown.size.width or least))
            try:
                call = calls.system_history(worker=self._worker_id, points=points)
                found = await self._backend.ask(call)
                shown.show(found)
            except ConsoleError as exc:
                shown.show(None, str(exc))
            await asyncio.sleep(max(_POLL_S, self._backend.link.pause_s))

    def action_leave(self) -> None:
        self.dismiss(None)
