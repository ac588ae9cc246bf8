"""Wall: up to sixteen tasks side by side, each with its picture, counts and rate."""

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any, ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Grid, Vertical

from console.client import calls
from console.errors import ConsoleError
from console.tui.api_session import ApiSession
from console.tui.keys import WALL, bindings
from console.tui.messages import OpenTask
from console.tui.screens.dialog import Dialog
from console.tui.screens.merged_log import MergedLogScreen
from console.tui.screens.wall_pane import WallPane
from console.tui.view_models.health import Health
from console.tui.view_models.merged_log import MergedEvent, TaskLog
from console.tui.view_models.wall import MAX_PANES, WallPlaces
from console.tui.widgets.canvas import Lines
from console.tui.widgets.key_footer import KeyFooter
from console.tui.widgets.wall_rendering import wall_line

_LISTED = 100
"""Most running tasks that are looked at."""
_DRAW_S = 0.5
_N_READERS = 2
_PICTURE_PAUSE_S = 0.4
"""Pause of each reader between two pictures: five pictures per second for all panes together."""
_RUNNING = ("running", "cancelling")


class WallScreen(Dialog[None]):
    """Shows `marked` tasks, or, without any, all that run: tasks that start get free panes."""

    AUTO_FOCUS = "#pane-1"
    BINDINGS: ClassVar[list[BindingType]] = list(bindings(WALL))

    def __init__(
        self,
        backend: ApiSession,
        marked: Sequence[str],
        *,
        health: Callable[[], Health],
        poll_s: float,
        image_widget: type[Any] | None,
    ) -> None:
        super().__init__()
        self.places = WallPlaces()
        self._backend = backend
        self._marked = tuple(marked)
        self._health = health
        self._poll_s = poll_s
        self._n_unlisted = 0
        self._under_way: set[WallPane] = set()
        self.panes = [
            WallPane(number, backend, image_widget=image_widget)
            for number in range(1, MAX_PANES + 1)
        ]
        self._head = Lines(id="wall-head")
        self._grid = Grid(*self.panes, id="wall-panes")
        self._has_looked = False
        self.places.fit(len(self._marked))

    def compose(self) -> ComposeResult:
        with Vertical():
            yield self._head
            yield self._grid
        yield KeyFooter()

    def on_mount(self) -> None:
        super().on_mount()
        if self._marked:
            self.places.want(self._marked)
        self._arrange()
        self.set_interval(_DRAW_S, self.draw)
        self.run_worker(self._poll(), group="poll")
        for _ in range(_N_READERS):
            self.run_worker(self._read_pictures(), group="pictures")

    def draw(self) -> None:
        """Draw all panes as their streams are now."""
        places, health = self.places, self._health()
        n_shown = sum(task is not None for task in places.places)
        n_without = places.n_without + self._n_unlisted
        line = wall_line(places.side, n_shown, n_without, is_marked=bool(self._marked))
        self._head.show([line])
        for pane in self._shown_panes():
            pane.draw(health)

    def _shown_panes(self) -> Sequence[WallPane]:
        return self.panes[: self.places.side**2]

    def _arrange(self) -> None:
        """Give each pane its task, and close the streams of those that are not shown."""
        if not self._grid.is_attached:
            return  # it is being closed
        side, places = self.places.side, self.places.places
        grid = self._grid.styles
        grid.grid_size_columns = grid.grid_size_rows = side
        for pane, task_id in zip(self.panes, places, strict=False):
            pane.display = True
            pane.follow(task_id)
        for pane in self.panes[side**2 :]:
            pane.follow(None)
            pane.display = False
        if not (isinstance(self.focused, WallPane) and self.focused.display):
            self.set_focus(self.panes[0])
        self.draw()

    # -- requests to the api

    async def _poll(self) -> None:
        """Keep the states of the shown tasks current, and find those that run."""
        while True:
            with suppress(ConsoleError):  # the panes say what is wrong with the connection
                await self._look()
            await asyncio.sleep(max(self._poll_s, self._backend.link.pause_s))

    async def _look(self) -> None:
        listed = {}
        if not self._marked:
            call = calls.tasks(status=_RUNNING, limit=_LISTED, with_counts=True)
            page = await self._backend.ask(call)
            listed = {task.id: task for task in page.data}
            counts = page.counts
            matching = len(listed) if not counts else counts.matching
            self._n_unlisted = max(0, matching - len(listed))
            if not self._has_looked:
                self.places.fit(matching)
                self._has_looked = True
            self.places.want(list(listed))
            self._arrange()
        others = [task for task in self.places.places if task is not None and task not in listed]
        if others:
            page = await self._backend.ask(calls.tasks(task_ids=others, limit=MAX_PANES))
            listed |= {task.id: task for task in page.data}
        for pane in self.panes:
            if pane.task_id in listed:
                pane.take_task(listed[pane.task_id])

    async def _read_pictures(self) -> None:
        """Read one picture after the other, that of the pane which has waited longest first."""
        while True:
            due = [
                (asked_s, pane.number, pane)
                for pane in self._shown_panes()
                if (asked_s := pane.picture_due_s()) is not None and pane not in self._under_way
            ]
            if due:
                pane = min(due)[2]
                self._under_way.add(pane)
                try:
                    await pane.read_picture()
                finally:
                    self._under_way.discard(pane)
            await asyncio.sleep(_PICTURE_PAUSE_S)

    # -- user input

    @on(WallPane.Chosen)
    def _chosen(self, message: WallPane.Chosen) -> None:
        message.stop()
        self._open(message.pane)

    def action_open(self, number: int = 0) -> None:
        """Follow the task of that pane in Live; 0 is the focused one."""
        if number:
            self._open(self.panes[number - 1])
        elif isinstance(self.focused, WallPane):
            self._open(self.focused)

    def action_merge(self) -> None:
        """List the events of the shown tasks by time; one that is chosen is held in Live."""

        def logs() -> list[TaskLog]:
            found = (pane.task_log() for pane in self._shown_panes())
            return [log for log in found if log is not None]

        def chosen(event: MergedEvent | None) -> None:
            if event is not None:
                self.app.post_message(OpenTask(event.task_id, event.line.start))
                self.dismiss(None)

        self.app.push_screen(MergedLogScreen(logs, self._backend.clock), chosen)

    def action_resize(self, step: int) -> None:
        if self.places.resize(step):
            self._arrange()

    def action_go(self, right: int, down: int) -> None:
        side = self.places.side
        at = self.focused.number - 1 if isinstance(self.focused, WallPane) else 0
        column, row = at % side + right, at // side + down
        if 0 <= column < side and 0 <= row < side:
            self.set_focus(self.panes[row * side + column])

    def action_leave(self) -> None:
        self.dismiss(None)

    def _open(self, pane: WallPane) -> None:
        if pane.task_id is not None and pane.display:
            self.app.post_message(OpenTask(pane.task_id))
            self.dismiss(None)
