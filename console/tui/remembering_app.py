"""Textual application that begins as it was left."""

from contextlib import suppress

from api.contract.query.terms import QueryError
from console.config.values import View
from console.tui.alert_desk import AlertDesk
from console.tui.commanded_app import CommandedApp
from console.tui.remembered import Start
from console.tui.screens.live import LiveTab
from console.tui.screens.tab import Tab
from console.tui.view_models.saved_views import place_of, view_of
from console.tui.widgets.splitter import Splitter


class RememberingApp(CommandedApp):
    """Keeps theme, tab, borders, columns, filters and acknowledgements for the next start."""

    alerts: AlertDesk

    def start_at(self, start: Start) -> None:
        """Show what was asked for, else the tab that was shown last."""
        tab = start.tab or self.memory.tab or "tasks"
        self._restore_filters()
        if start.task is not None:
            self.query_one(LiveTab).task_id = start.task
            tab = "live"
        elif start.view is not None:
            tab = self._take_view(start.view) or "tasks"
        self.begin_at(tab)

    def _restore_filters(self) -> None:
        """Let each list have the filter and order that it was left with."""
        for view in self.memory.lists.values():
            place = place_of(view)
            tab = self.query_one(f"#{place.tab}", Tab)
            with suppress(QueryError):  # of another version's language
                tab.go(place)
            tab.on_hidden()  # until it is shown

    def keep_state(self) -> None:
        """Keep what the next start is to restore."""
        shares = {s.id: s.share for s in self.query(Splitter) if s.id and s.share is not None}
        columns = {str(tab.id): tab.columns for tab in self.query(Tab) if tab.columns}
        try:
            self.memory.keep(
                theme=self.theme,
                tab=self.active,
                splits=shares,
                columns=columns,
                lists=self._list_filters(),
            )
        except OSError as exc:
            self.notify(str(exc), title="The state is not kept", severity="warning")
        self.keep_acknowledged()

    def _list_filters(self) -> dict[str, View]:
        """Return the filter and order of each list, unless it shows all."""
        filters: dict[str, View] = {}
        for tab in self.query(Tab):
            with suppress(ValueError):  # it has no list, or a search that is not kept
                view = view_of(tab.place())
                if view != View(tab=view.tab):
                    filters[view.tab] = view
        return filters

    def keep_acknowledged(self) -> None:
        """Keep from when on failed tasks are told at the next start."""
        if self.alerts.since is None:
            return
        try:
            self.memory.keep_acknowledged(
                self.backend.endpoint.url, self.alerts.project, self.alerts.since
            )
        except OSError as exc:
            self.notify(str(exc), title="The state is not kept", severity="warning")

    async def action_quit(self) -> None:
        self.keep_state()
        await super().action_quit()
