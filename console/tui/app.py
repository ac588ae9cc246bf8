"""Textual application of the operator console, on top of the HTTP api."""

import asyncio
import gc
import shutil
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import ClassVar

from textual import work
from textual.app import App, ComposeResult, SuspendNotSupported, SystemCommand
from textual.binding import BindingType
from textual.filter import LineFilter
from textual.message import Message
from textual.notifications import SeverityLevel
from textual.reactive import reactive
from textual.screen import Screen
from textual.widget import Widget
from textual.widgets import ContentSwitcher

from api.contract.system import SystemResource
from console.client import calls
from console.client.endpoint import Endpoint
from console.errors import ConsoleError
from console.printable import printable
from console.tui.alert_desk import AlertDesk, notification
from console.tui.api_session import ApiSession
from console.tui.attention import read_attention
from console.tui.clipboard import plan_copy, run_program, said
from console.tui.clock import Clock
from console.tui.console_settings import ConsoleSettings
from console.tui.drawing.eight_bit import NearestOf256
from console.tui.drawing.themes import THEMES
from console.tui.keys import EVERYWHERE, bindings, remapped, shown, without_conflicts
from console.tui.log_copies import copy_logs
from console.tui.messages import (
    CopyText,
    EditText,
    LinkChanged,
    OpenSimilar,
    OpenTask,
    OpenTasks,
    OpenTrack,
    OpenWall,
    PageLogs,
    PageText,
    StallChanged,
    SystemRead,
)
from console.tui.own_programs import (
    NoProgramError,
    editor_command,
    pager_command,
    read_bounded,
    run_on_file,
)
from console.tui.remembering_app import RememberingApp
from console.tui.screens.alerts import AlertsScreen
from console.tui.screens.help import HelpScreen
from console.tui.screens.live import LiveTab
from console.tui.screens.live_head import LiveHead
from console.tui.screens.palette import Palette
from console.tui.screens.sized_screen import SizedScreen
from console.tui.screens.system import SystemTab
from console.tui.screens.tab import Tab
from console.tui.screens.task_jumps import TaskJumps
from console.tui.screens.tasks import TasksTab
from console.tui.screens.tracks import TracksTab
from console.tui.screens.wall import WallScreen
from console.tui.stylesheet import IndexedStylesheet
from console.tui.view_models.alerts import ALL_STREAMS, Alert
from console.tui.view_models.connection import ConnectionState
from console.tui.view_models.failure_watch import failed_since
from console.tui.view_models.health import Health, health_of
from console.tui.view_models.history import History, Place
from console.tui.widgets.banner import Notice
from console.tui.widgets.key_footer import KeyFooter
from console.tui.widgets.splitter import Splitter
from console.tui.widgets.toasts import paint_behind_toasts
from console.tui.widgets.topbar import TABS, TopBar

_NEAREST = NearestOf256()


class ConsoleApp(RememberingApp):
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
    COMMANDS = App.COMMANDS | {TaskJumps}

    link: reactive[ConnectionState] = reactive(ConnectionState(), init=False)
    health: reactive[Health] = reactive(Health(), init=False)

    def __init__(
        self,
        endpoint: Endpoint,
        settings: ConsoleSettings | None = None,
        clock: Clock | None = None,
    ) -> None:
        super().__init__(settings or ConsoleSettings())
        self.stylesheet = IndexedStylesheet(variables=self.get_css_variables())
        self._clock = clock or Clock()
        self.backend = self._session(endpoint)
        self.alerts = self._alert_desk()
        self.shown_url = endpoint.url
        for theme in THEMES:
            self.register_theme(theme)
        config = self.settings.config
        wanted = self.settings.theme or self.memory.theme
        self.theme = wanted if wanted in self.available_themes else THEMES[0].name
        keymap, conflicts = without_conflicts(config.keys)
        self.keys = remapped(keymap)
        self._keymap = dict(keymap)
        self._faults = (*config.faults, *conflicts, *self.memory.faults)

    def _session(self, endpoint: Endpoint) -> ApiSession:
        def tell(link: ConnectionState) -> None:
            if self.backend is session:
                self.post_message(LinkChanged(link))

        session = ApiSession(endpoint, tell, self._clock, readonly=self.settings.readonly)
        return session

    def _alert_desk(self) -> AlertDesk:
        return AlertDesk(
            self._clock,
            say=lambda text: self.notify(text, title="Alert (! lists all)", severity="warning"),
            changed=self._count_alerts,
            ring=self._ring if self._bell or self._notifies else None,
            acknowledged=lambda project: self.memory.acknowledged(
                self.backend.endpoint.url, project
            ),
        )

    @property
    def _bell(self) -> bool:
        return self.settings.bell or self.settings.config.bell

    @property
    def _notifies(self) -> bool:
        return self.settings.bell or self.settings.config.notify

    def get_default_screen(self) -> SizedScreen:
        return SizedScreen(id="_default")

    def compose(self) -> ComposeResult:
        yield TopBar(self.backend.endpoint.project, self.shown_url, readonly=self.settings.readonly)
        yield Notice(id="notice")
        with ContentSwitcher(initial="tasks", id="tabs"):
            yield from self._tabs(self.memory.columns)
        yield KeyFooter()

    def _tabs(self, columns: Mapping[str, tuple[str, ...]]) -> list[Tab]:
        settings, image_widget = self.settings, self.settings.image_widget
        return [
            TasksTab(self.backend, settings.tasks_s, columns.get("tasks", ())),
            LiveTab(self.backend, draw_s=settings.draw_s, image_widget=image_widget),
            TracksTab(
                self.backend,
                settings.tracks_s,
                image_widget=image_widget,
                columns=columns.get("tracks", ()),
            ),
            SystemTab(self.backend, settings.system_s, settings.logs_of),
        ]

    def action_command_palette(self) -> None:
        if self.use_command_palette and not Palette.is_open(self):  # type: ignore[arg-type] # App is invariant
            self.push_screen(Palette(id="--command-palette"))

    def on_mount(self) -> None:
        paint_behind_toasts(self.screen)
        for splitter in self.query(Splitter):
            splitter.share = self.memory.share(splitter.id)
        self._watch_health()
        for fault in self._faults:
            self.notify(fault, title="Settings", severity="warning", timeout=15)
        self.start_at(self.settings.start)

    def on_ready(self) -> None:
        if self.settings.own_process:
            # Else every full collection scans all of Textual: 50 ms without a response to keys.
            gc.collect()
            gc.freeze()

    def get_line_filters(self) -> Sequence[LineFilter]:
        """Return the filters of drawn lines: in a terminal of 256 colours, their choice."""
        own = [_NEAREST] if self.console.color_system == "256" else []
        return [*super().get_line_filters(), *own]

    async def switch_to(self, endpoint: Endpoint, name: str) -> None:
        """Leave this api for another: its requests and streams end before the other's begin."""
        while len(self.screen_stack) > 1:
            self.pop_screen()
        self.keep_acknowledged()
        columns = {str(tab.id): tab.columns for tab in self.query(Tab)}
        shares = {splitter.id: splitter.share for splitter in self.query(Splitter)}
        self.workers.cancel_group(self, "health")
        old, self.backend = self.backend, self._session(endpoint)
        await old.close()
        switcher = self.query_one(ContentSwitcher)
        await switcher.remove_children()
        tabs = self._tabs(columns)
        for tab in tabs:
            tab.display = tab.id == "tasks"
        self.set_reactive(ConsoleApp.active, "tasks")
        switcher.set_reactive(ContentSwitcher.current, "tasks")
        await switcher.mount_all(tabs)
        for splitter in self.query(Splitter):
            splitter.share = shares.get(splitter.id)
        self.history = History(Place("tasks"))
        self.link, self.health = self.backend.link, Health()
        self.alerts = self._alert_desk()
        self._count_alerts()
        bar = self.query_one(TopBar)
        bar.active, bar.project = "tasks", endpoint.project
        bar.set_url(endpoint.url)
        self.query_one(TasksTab).on_shown()
        self._watch_health()
        self.notify(f"{name}: {endpoint.url}", title="Context")

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
        """Read the service's health, the key's project, and what alerts need, on every tab."""
        while True:
            if self.active != "system":  # that tab reads it more often, and posts it
                try:
                    self._take_service(await self.backend.ask(calls.system()))
                except ConsoleError:
                    self.health = Health()
            with suppress(ConsoleError):
                await read_attention(self.backend, self.alerts)
            await asyncio.sleep(max(self.settings.health_s, self.backend.link.pause_s))

    def on_system_read(self, message: SystemRead) -> None:
        if _is_shown(message):
            self._take_service(message.system)

    def on_stall_changed(self, message: StallChanged) -> None:
        if not _is_shown(message):
            return
        self.alerts.take_stall(message.task_id, message.why)

    def _take_service(self, system: SystemResource) -> None:
        self.health = health_of(system)
        self.alerts.take(system)
        for bar in self.query(TopBar):  # there is none during shutdown
            if self.backend.endpoint.project is None:
                bar.project = system.project

    def watch_health(self, health: Health) -> None:
        for widget in (*self.query(TopBar), *self.query(LiveHead)):
            widget.health = health

    def _count_alerts(self) -> None:
        for bar in self.query(TopBar):  # there is none during shutdown
            bar.n_unseen = self.alerts.book.n_unseen

    def _ring(self, lines: Sequence[str]) -> None:
        if self._driver is not None and not self.is_headless:
            environ = self.settings.environ
            self._driver.write(notification(lines, environ, bell=self._bell, notify=self._notifies))

    def action_alerts(self) -> None:
        """List the alerts, and go to the one that is chosen."""
        self.push_screen(AlertsScreen(self.alerts, self.backend.clock), self._go_to)

    def _go_to(self, alert: Alert | None) -> None:
        self.keep_acknowledged()
        if alert is None:
            return
        kind, subject = alert.condition.kind, alert.condition.subject
        if kind == "failures":
            since = datetime.fromisoformat(subject.partition(" ")[0])
            self.post_message(OpenTasks(failed_since(since, self._clock.now())))
            return
        if subject == ALL_STREAMS:
            self.post_message(OpenTasks("status:running"))
            return
        if kind in {"task", "stream", "source"}:
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
        if not _is_shown(message):
            return
        live = next(iter(self.query(LiveTab)), None)
        if live is None:  # the console is being closed
            return
        live.task_id = message.task_id
        if message.offset is not None:
            live.hold_at(message.offset)
        self.active = "live"

    def on_open_wall(self, message: OpenWall) -> None:
        if not _is_shown(message):
            return
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

    def on_open_track(self, message: OpenTrack) -> None:
        self.active = "tracks"
        key = f"{message.task_id}:{message.track_id}"
        self.query_one(TracksTab).go(Place("tracks", f"task:{message.task_id}", key=key))

    def on_page_text(self, message: PageText) -> None:
        """Show the text in the user's pager; the console waits, and is drawn again afterwards."""
        command = self._pager()
        if command is not None:
            self._run_on_text(command, message.text, message.name)

    def on_page_logs(self, message: PageLogs) -> None:
        """Show the logs of the local stack's children in the user's pager."""
        folder = self.settings.local_logs
        if folder is None or self.backend.endpoint.url != self.settings.local_url:
            self.notify(
                "This api is not that of a local stack: its logs are where it runs.",
                title="No logs",
                severity="warning",
            )
            return
        command = self._pager()
        if command is not None:
            self._run_on(command, lambda into: copy_logs(folder, into, message.first))

    def _pager(self) -> list[str] | None:
        try:
            return pager_command(self.settings.environ, shutil.which)
        except NoProgramError as exc:
            self.notify(str(exc), title="No pager", severity="error")
            return None

    def on_edit_text(self, message: EditText) -> None:
        """Let the user edit the text in their editor, and hand it on."""
        try:
            command = editor_command(self.settings.environ)
        except NoProgramError as exc:
            self.notify(str(exc), title="No editor", severity="error")
            return
        text = self._run_on_text(command, message.text, message.name)
        if text is not None:
            message.edited(text)

    def _run_on_text(self, command: list[str], text: str, name: str) -> str | None:
        """Return what the file with the text has after the program; None if that failed."""

        def write(folder: Path) -> list[Path]:
            path = folder / name
            path.write_text(text, "utf-8")
            return [path]

        return self._run_on(command, write)

    def _run_on(self, command: list[str], write: Callable[[Path], list[Path]]) -> str | None:
        """Run the program on the files that `write` makes in a folder.

        Return what the first of them has afterwards; None if that failed, which is told.
        """
        after: str | None = None
        try:
            with TemporaryDirectory(prefix="framewire-") as folder:
                paths = write(Path(folder))
                failure = self._run_suspended(command, paths)
                if not failure:
                    after = read_bounded(paths[0])
        except (OSError, ValueError) as exc:
            failure = str(exc)
        except SuspendNotSupported:
            failure = "from a browser no program can be started"
        if failure:
            self.notify(failure, title="Not opened", severity="error")
        return after

    def _run_suspended(self, command: list[str], paths: Sequence[Path]) -> str:
        """Run the program while the console waits; return why it failed, or nothing."""
        if not paths:
            return "there is nothing to show"
        with self.suspend():
            return run_on_file(command, *map(str, paths))

    def on_open_similar(self, message: OpenSimilar) -> None:
        if not _is_shown(message):
            return
        self.active = "tracks"
        self.query_one(TracksTab).search_similar(message.track)

    def action_help_quit(self) -> None:
        """Say how to quit: Textual runs this on ctrl+c."""
        self.notify("Press q to quit, or ctrl+q while text is typed.", title="Quit?")

    def action_help(self) -> None:
        self.push_screen(HelpScreen(readonly=self.settings.readonly, keys=self.keys))

    def get_system_commands(self, screen: Screen[object]) -> Iterable[SystemCommand]:
        """Yield commands for the tabs and for every action of the shown tab."""
        for name, title in TABS:
            yield SystemCommand(
                f"Go to {title}", f"Show the {title} tab", lambda name=name: self.action_show(name)
            )
        tab = self.query_one(f"#{self.active}", Tab)
        for key in self.keys[tab.title]:
            if tab.check_action(key.action.partition("(")[0], ()):
                yield SystemCommand(
                    key.name,
                    f"Key {shown(key)}",
                    lambda key=key, tab=tab: self.call_later(tab.run_action, key.action),
                )
        yield from super().get_system_commands(screen)


def _is_shown(message: Message) -> bool:
    """Whether the message's sender is there: one of the api that was left is not."""
    sender = message._sender  # noqa: SLF001 - Textual has no other name for it
    return sender is None or not isinstance(sender, Widget) or sender.is_attached
