"""Failed tasks of the last day, counted by error code and source; enter lists a row's tasks."""

from typing import ClassVar

from textual import on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.widgets import Label

from api.contract.system import FailureGroup
from console.client import calls
from console.errors import ConsoleError
from console.tui.api_session import ApiSession
from console.tui.messages import OpenTasks
from console.tui.screens.dialog import Dialog
from console.tui.view_models.failure_groups import (
    GROUP_COLUMNS,
    WINDOW_S,
    group_key,
    group_rows,
    tasks_query,
)
from console.tui.widgets.key_footer import KeyFooter
from console.tui.widgets.table import Listing


class FailuresScreen(Dialog[None]):
    """Reads the groups once, and `r` again."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("r", "refresh", "Refresh"),
        Binding("escape,q", "leave", "Close", key_display="esc"),
    ]

    def __init__(self, backend: ApiSession) -> None:
        super().__init__()
        self._backend = backend
        self._groups: dict[str, FailureGroup] = {}

    def compose(self) -> ComposeResult:
        with Vertical(id="failures-box", classes="dialog-box -wide"):
            yield Label("Failed tasks of the last 24 h: enter lists them", classes="dialog-title")
            yield Listing(GROUP_COLUMNS, id="failure-groups", empty="reading …")
        yield KeyFooter()

    def on_mount(self) -> None:
        self.action_refresh()

    @work(exclusive=True, group="failures")
    async def action_refresh(self) -> None:
        now = self._backend.clock.now()
        since_ms = int((now.timestamp() - WINDOW_S) * 1000)
        listing = self.query_one(Listing)
        try:
            found = await self._backend.ask(calls.failures(created_from=str(since_ms)))
        except ConsoleError as exc:
            listing.say_empty(str(exc))
            return
        self._groups = {group_key(group): group for group in found.data}
        listing.say_empty("No task has failed.")
        listing.show(group_rows(found.data, now))

    @on(Listing.Chosen, "#failure-groups")
    def _chosen(self, message: Listing.Chosen) -> None:
        message.stop()
        group = self._groups.get(message.key)
        if group is not None:
            self.app.post_message(OpenTasks(tasks_query(group)))
            self.dismiss(None)

    def action_leave(self) -> None:
        self.dismiss(None)
