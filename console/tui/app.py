"""Textual application of the operator console, on top of the HTTP api."""

import asyncio
import gc
import shutil
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, ClassVar

import msgspec
from textual import work
from textual.app import ComposeResult, SystemCommand
from textual.binding import BindingType
from textual.filter import LineFilter
from textual.notifications import SeverityLevel
from textual.reactive import reactive
from textual.screen import Screen
from textual.widgets import ContentSwitcher, Footer

from api.contract.resources import SystemResource, TaskResource
from console.client import calls
from console.client.endpoint import Endpoint
from console.errors import ConsoleError
from console.printable import printable
from console.tui.alert_desk import AlertDesk
from console.tui.api_session import ApiSession
from console.tui.clipboard import plan_copy, run_program, said
from console.tui.clock import Clock
from console.tui.drawing.eight_bit import NearestOf256
from console.tui.drawing.themes import THEMES
from console.tui.keys import EVERYWHERE, KEYS, bindings, shown
from console.tui.messages import (
    CopyText,
    LinkChanged,
    OpenSimilar,
    OpenTask,
    OpenTasks,
    OpenWall,
    PlaceChanged,
    StallChanged,
    SystemRead,
)
from console.tui.ordered_keys import OrderedKeysApp
from console.tui.screens.alerts import AlertsScreen
from console.tui.screens.help import HelpScreen
from console.tui.screens.live import LiveTab
from console.tui.screens.live_head import LiveHead
from console.tui.screens.system import FAILURES, SystemTab
from console.tui.screens.tab import Tab
from console.tui.screens.tasks import TasksTab
from console.tui.screens.tracks import TracksTab
from console.tui.screens.wall import WallScreen
from console.tui.view_models.alerts import Alert
from console.tui.view_models.connection import ConnectionState
from console.tui.view_models.health import Health, health_of
from console.tui.view_models.history import History, Place
from console.tui.widgets.banner import Notice
from console.tui.widgets.table import Listing
from console.tui.widgets.toasts import paint_behind_toasts
from console.tui.widgets.topbar import TABS, TopBar

_NEAREST = NearestOf256()


class ConsoleSettings(msgspec.Struct, frozen=True):
    """Settings of the console. Fields with `_s` are intervals in seconds."""

    tasks_s: float = 1.0
    """Poll interval while tasks run; three times as long if none runs."""
    system_s: float = 2.0
    health_s: float = 5.0
    """Poll interval of the service's health, for the header, while System is not shown."""
    tracks_s: float = 5.0
    draw_s: float = 0.1
    """Minimum time between two redraws of a followed stream."""
    image_widget: type[Any] | None = None
    """Widget for the terminal's graphics protocol (`terminal_graphics`); None: block characters."""
    theme: str = "framewire-dark"
    readonly: bool = False
    """Nothing is changed: submit, cancel and the like do not exist, and are not sent."""
    environ: Mapping[str, str] = {}
    """See `terminal_environment`."""
    bell: bool = False
    """Alerts ring the terminal's bell, and are shown as its notification (OSC 9)."""
    own_process: bool = False
    """The process runs only the console: objects of the first draw are excluded from the GC."""


class ConsoleApp(OrderedKeysApp[None]):
    """Application with tabs for one api and one key."""

    CSS_PATH = "console.tcss"
    TITLE = "framewire"
    ENABLE_COMMAND_PALETTE = True
    HORIZONTAL_BREAKPOINTS = [  # noqa: RUF012 - Textual declares it for instances
        (0, "-narrow"),
        (110, "-normal"),
        (170, "-wide"),
    ]
    VERTICAL_BREAKPOINTS = [  # noqa: RUF012 - as above
        (0, "-low"),
        (32, "-high"),
    ]
    AUTO_FOCUS = "#task-list"
    BINDINGS: ClassVar[list[BindingType]] = list(bindings(EVERYWHERE))

    link: reactive[ConnectionState] = reactive(ConnectionState(), init=False)
    health: reactive[Health] = reactive(Health(), init=False)
    active: reactive[str] = reactive("tasks", init=False)

    def __init__(
        self,
        endpoint: Endpoint,
        settings: ConsoleSettings | None = None,
        clock: Clock | None = None,
    ) -> None:
        super().__init__()
        self.settings = settings or ConsoleSettings()
        self.backend = ApiSession(
            endpoint,
            lambda link: self.post_message(LinkChanged(link)),
            clock or Clock(),
            readonly=self.settings.readonly,
        )
        self.alerts = AlertDesk(
            self.backend.clock,
            say=lambda text: self.notify(text, title="Alert (! lists all)", severity="warning"),
            changed=self._count_alerts,
            ring=self._ring if self.settings.bell else None,
        )
        self.shown_url = endpoint.url
        self.history = History(Place("tasks"))
        self._is_returning = False
        for theme in THEMES:
            self.register_theme(theme)
        self.theme = self.settings.theme

    def compose(self) -> ComposeResult:
        yield TopBar(self.backend.endpoint.project, self.shown_url, readonly=self.settings.readonly)
        yield Notice(id="notice")
        with ContentSwitcher(initial="tasks", id="tabs"):
            yield TasksTab(self.backend, self.settings.tasks_s)
            yield LiveTab(
                self.backend, draw_s=self.settings.draw_s, image_widget=self.settings.image_widget
            )
            yield TracksTab(
                self.backend, self.settings.tracks_s, image_widget=self.settings.image_widget
            )
            yield SystemTab(self.backend, self.settings.system_s)
        yield Footer(show_command_palette=True)

    def on_mount(self) -> None:
        paint_behind_toasts(self.screen)
        self.query_one(TasksTab).on_shown()
        self._watch_health()

    def on_ready(self) -> None:
        if self.settings.own_process:
            # Else every full collection scans all of Textual: 50 ms without a response to keys.
            gc.collect()
            gc.freeze()

    def get_line_filters(self) -> Sequence[LineFilter]:
        """Return the filters of drawn lines: in a terminal of 256 colours, their choice."""
        own = [_NEAREST] if self.console.color_system == "256" else []
        return [*super().get_line_filters(), *own]

    async def on_unmount(self) -> None:
        await self.backend.close()

    def notify(
        self,
        message: str,
        *,
        title: str = "",
        severity: SeverityLevel = "information",
        timeout: float | None = None,
        markup: bool = False,  # noqa: ARG002 - Textual's signature
    ) -> None:
        """Show the message without markup: an api's text may contain brackets."""
        message, title = printable(message, "\n"), printable(title)
        super().notify(message, title=title, severity=severity, timeout=timeout, markup=False)

    def copy_to_clipboard(self, text: str) -> None:
        """Copy without a toast: Textual calls it for text that is selected by the mouse."""
        self._copy(CopyText(text, ""))

    def on_copy_text(self, message: CopyText) -> None:
        self._copy(message)

    def _copy(self, wanted: CopyText) -> None:
        environ, in_browser = self.settings.environ, self.is_web
        plan = plan_copy(wanted.text, environ, shutil.which, in_browser=in_browser)
        if plan.why:
            self.notify(plan.why, title="Not copied", severity="error")
            return
        self._clipboard = wanted.text
        if plan.sequence and self._driver is not None:
            self._driver.write(plan.sequence)

        async def finish() -> None:
            took = bool(plan.command) and await run_program(plan.command, wanted.text)
            if not plan.sequence and not took:
                why = said(plan, environ, took=False)
                self.notify(why, title="Not copied", severity="error")
            elif wanted.title:
                how = said(plan, environ, took=took, in_browser=in_browser)
                about = f"{wanted.about}\n" if wanted.about else ""
                self.notify(f"{about}{how}", title=wanted.title)

        self.run_worker(finish(), group="copy")

    @work(group="health")
    async def _watch_health(self) -> None:
        """Read the service's health, and the key's project, on every tab."""
        while True:
            if self.active != "system":  # that tab reads it more often, and posts it
                try:
                    system = await self.backend.ask(calls.system())
                    failed = await self.backend.ask(calls.tasks(status=["failed"], limit=FAILURES))
                    self._take_system(system, failed.data)
                except ConsoleError:
                    self.health = Health()
            await asyncio.sleep(max(self.settings.health_s, self.backend.link.pause_s))

    def on_system_read(self, message: SystemRead) -> None:
        self._take_system(message.system, message.failures)

    def on_stall_changed(self, message: StallChanged) -> None:
        self.alerts.take_stall(message.task_id, message.why)

    def _take_system(self, system: SystemResource, failures: Sequence[TaskResource]) -> None:
        self.health = health_of(system)
        self.alerts.take(system, failures)
        for bar in self.query(TopBar):  # there is none during shutdown
            if self.backend.endpoint.project is None:
                bar.project = system.project

    def watch_health(self, health: Health) -> None:
        for widget in (*self.query(TopBar), *self.query(LiveHead)):
            widget.health = health

    def _count_alerts(self) -> None:
        for bar in (
            self.screen_stack[0].query(TopBar) if self.screen_stack else ()
        ):  # dialogs have none
            bar.n_unseen = self.alerts.book.n_unseen

    def _ring(self, text: str) -> None:
        if self._driver is not None and not self.is_headless:
            self._driver.write(text)

    def action_alerts(self) -> None:
        """List the alerts, and go to the one that is chosen."""
        self.push_screen(AlertsScreen(self.alerts, self.backend.clock), self._go_to)

    def _go_to(self, alert: Alert | None) -> None:
        if alert is None:
            return
        kind, subject = alert.condition.kind, alert.condition.subject
        if kind in {"task", "stream"}:
            self.post_message(OpenTask(subject))
            return
        self.active = "system"
        if kind in {"worker", "lag"}:
            self.query_one(SystemTab).go_to("workers" if kind == "worker" else "lag", subject)

    def on_link_changed(self, message: LinkChanged) -> None:
        self.link = message.link

    def watch_link(self, link: ConnectionState) -> None:
        for widget in (*self.query(TopBar), *self.query(Notice)):  # there are none during shutdown
            widget.link = link

    def watch_active(self, old: str, new: str) -> None:
        self._note_place(old)
        self._note_place(new)
        self.query_one(ContentSwitcher).current = new
        self.query_one(TopBar).active = new
        for name, _ in TABS:
            tab = self.query_one(f"#{name}", Tab)
            if name == new:
                tab.on_shown()
            elif name == old:
                tab.on_hidden()

    def on_top_bar_tab_clicked(self, message: TopBar.TabClicked) -> None:
        self.active = message.tab

    def on_open_task(self, message: OpenTask) -> None:
        live = self.query_one(LiveTab)
        live.task_id = message.task_id
        if message.offset is not None:
            live.hold_at(message.offset)
        self.active = "live"

    def on_open_wall(self, message: OpenWall) -> None:
        self.push_screen(
            WallScreen(
                self.backend,
                message.task_ids,
                health=lambda: self.health,
                poll_s=self.settings.tasks_s,
                image_widget=self.settings.image_widget,
            )
        )

    def on_open_tasks(self, message: OpenTasks) -> None:
        self.query_one(TasksTab).show_query(message.query)
        self.active = "tasks"

    def on_open_similar(self, message: OpenSimilar) -> None:
        self.active = "tracks"
        self.query_one(TracksTab).search_similar(message.track)

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

    def action_show(self, tab: str) -> None:
        self.active = tab

    def action_next_theme(self) -> None:
        names = [theme.name for theme in THEMES]
        at = names.index(self.theme) if self.theme in names else -1
        self.theme = names[(at + 1) % len(names)]

    def action_help_quit(self) -> None:
        """Say how to quit: Textual runs this on ctrl+c."""
        self.notify("Press q to quit, or ctrl+q while text is typed.", title="Quit?")

    def action_help(self) -> None:
        self.push_screen(HelpScreen(readonly=self.settings.readonly))

    def get_system_commands(self, screen: Screen[object]) -> Iterable[SystemCommand]:
        """Yield commands for the tabs and for every action of the shown tab."""
        for name, title in TABS:
            yield SystemCommand(
                f"Go to {title}", f"Show the {title} tab", lambda name=name: self.action_show(name)
            )
        tab = self.query_one(f"#{self.active}", Tab)
        for key in KEYS[tab.title]:
            if tab.check_action(key.action.partition("(")[0], ()):
                yield SystemCommand(
                    key.name,
                    f"Key {shown(key)}",
                    lambda key=key, tab=tab: self.call_later(tab.run_action, key.action),
                )
        yield from super().get_system_commands(screen)
