"""Textual application with a command line (`:`)."""

import asyncio
import re
from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from inspect import isawaitable

from textual import work

from api.contract.query.tasks import TASKS
from api.contract.query.terms import Among, Query, render
from console.client import calls
from console.client.endpoint import Endpoint
from console.config.contexts import endpoint_named
from console.errors import ConsoleError
from console.tui.api_session import ApiSession
from console.tui.console_settings import ConsoleSettings
from console.tui.drawing.themes import THEMES
from console.tui.known_names import COLUMNS
from console.tui.messages import OpenTask
from console.tui.remembered import Remembered
from console.tui.screens.command_line import CommandScreen
from console.tui.screens.tasks import TasksTab
from console.tui.view_models.command_line import Command
from console.tui.view_models.saved_views import place_of, view_of
from console.tui.visited_app import VisitedApp
from console.tui.widgets.topbar import TABS

_TASK_ID = re.compile(r"vt_[0-9A-Za-z]{26}")


class CommandedApp(VisitedApp):
    """Runs the commands of `console.tui.view_models.command_line`."""

    backend: ApiSession

    def __init__(self, settings: ConsoleSettings) -> None:
        super().__init__()
        self.settings = settings
        self.memory = Remembered(settings.config, settings.state_path)

    @abstractmethod
    async def switch_to(self, endpoint: Endpoint, name: str) -> None:
        """Leave this api for another: its requests and streams end before the other's begin."""

    @abstractmethod
    def action_help(self) -> None:
        """Show all keys."""

    def action_show(self, tab: str) -> None:
        self.active = tab

    def action_next_theme(self) -> None:
        names = [theme.name for theme in THEMES]
        at = names.index(self.theme) if self.theme in names else -1
        self.theme = names[(at + 1) % len(names)]

    def show_view(self, name: str) -> None:
        self.active = self._take_view(name) or self.active

    def _take_view(self, name: str) -> str | None:
        """Let a view's tab show it; return the tab, or None if that failed, which is told."""
        view = self.memory.view(name)
        if isinstance(view, str):
            self.notify(view, title="No such view", severity="error")
            return None
        return self._take_place(place_of(view))

    def action_command_line(self) -> None:
        self.push_screen(CommandScreen(self._names()), self._run_command)

    def _names(self) -> Mapping[str, Sequence[str]]:
        """Return what the arguments of commands may be."""
        return {
            "tab": [name for name, _ in TABS],
            "view": sorted(self.memory.views),
            "context": sorted(self.settings.config.contexts),
            "theme": [theme.name for theme in THEMES],
            "columns": COLUMNS.get(self.active, ()),
        }

    async def _run_command(self, command: Command | None) -> None:
        """Run a command of the command line; the keys after it wait until it is done."""
        if command is None:
            return
        try:
            if command.name in dict(TABS):
                self.active = command.name
            else:
                done = self._commands()[command.name](command.argument)
                if isawaitable(done):
                    await done
        except (ConsoleError, ValueError, OSError) as exc:
            self.notify(str(exc), title=f":{command.name}", severity="error")

    def _commands(self) -> Mapping[str, Callable[[str], object]]:
        """Return what the commands of `COMMANDS` do with their argument, besides the tabs' own."""
        return {
            "tab": self.action_show,
            "task": self._open_task,
            "view": self.show_view,
            "save": self._save_view,
            "columns": lambda names: self.tab.choose_columns(names.split()),
            "theme": self._choose_theme,
            "ctx": self._go_to_context,
            "help": lambda _: self.action_help(),
            "q": lambda _: self.action_quit(),
        }

    def _save_view(self, name: str) -> None:
        self.memory.save_view(name, view_of(self.tab.place()))
        self.notify(f":view {name}", title="Saved")

    def _choose_theme(self, name: str) -> None:
        if name:
            self.theme = name
        else:
            self.action_next_theme()

    async def _go_to_context(self, name: str) -> None:
        contexts = self.settings.config.contexts
        if not name:
            known = ", ".join(sorted(contexts)) or "console.toml has none"
            self.notify(known, title="Contexts")
            return
        endpoint = await asyncio.to_thread(
            endpoint_named, name, contexts, self.settings.key_environ
        )
        await self.switch_to(endpoint, name)

    def _open_task(self, text: str) -> None:
        """Follow the listed task whose id is, or ends with, the text; else ask for such a task."""
        known = [one for one in self.query_one(TasksTab).tasks.keys if one.endswith(text)]
        if _TASK_ID.fullmatch(text) or len(known) == 1:
            self.post_message(OpenTask(known[0] if known else text))
        else:
            self._find_task(text)

    @work(exclusive=True, group="find")
    async def _find_task(self, text: str) -> None:
        wanted = render(Query((Among("id", (f"*{text}",)),)), TASKS)
        try:
            found = (await self.backend.ask(calls.tasks(q=wanted, limit=2))).data
        except ConsoleError as exc:
            self.notify(str(exc), title=":task", severity="error")
            return
        if len(found) == 1:
            self.post_message(OpenTask(found[0].id))
        else:
            what = "several tasks end" if found else "no task ends"
            self.notify(f"{what} with {text!r}", title=":task", severity="warning")
