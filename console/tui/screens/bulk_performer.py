"""Performs an action on many tasks: bounded concurrency, and a result for each task."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

from textual.widget import Widget

from api.contract.tasks import TaskResource
from console.client.calls import Call
from console.errors import ApiProblem, ConsoleError, UnreachableError
from console.tui.api_session import ApiSession
from console.tui.screens.bulk_result import BulkResultScreen
from console.tui.view_models.bulk_run import AT_ONCE, BulkRun
from console.tui.view_models.marks import Marks

_PAUSES_S = (0.5, 1.5)

T = TypeVar("T")
Act = Callable[[TaskResource], Awaitable[str]]
"""Does it for one task, and returns what is to be said of it; raises ConsoleError or OSError."""


class BulkPerformer:
    """Performs one action at a time, with `AT_ONCE` requests under way; `changed` draws marks."""

    def __init__(
        self, host: Widget, backend: ApiSession, marks: Marks, changed: Callable[[], None]
    ) -> None:
        self._host = host
        self._backend = backend
        self._marks = marks
        self._changed = changed
        self._run: BulkRun | None = None

    def is_busy(self) -> bool:
        """Whether another action runs; if so, say it."""
        if self._run is None or self._run.is_over:
            return False
        self._host.notify(
            f"{self._run.summary()} so far.",
            title="The action before is still under way",
            severity="warning",
        )
        return True

    def begin(
        self,
        tasks: Sequence[TaskResource],
        done_word: str,
        act: Act,
        *,
        finish: Callable[[BulkRun], Awaitable[str]],
        abandon: Callable[[], None] = lambda: None,
        unmark: bool = True,
    ) -> None:
        """Show the action's results from now on, and perform it.

        `finish` is awaited once all have a result, and returns a note on them; `abandon` is called
        if the console is closed before.
        """
        if self.is_busy():
            return
        run = self._run = BulkRun(tasks, done_word)
        self._host.app.push_screen(BulkResultScreen(run))
        self._host.run_worker(self._perform(run, act, finish, abandon, unmark=unmark), group="bulk")

    async def _perform(
        self,
        run: BulkRun,
        act: Act,
        finish: Callable[[BulkRun], Awaitable[str]],
        abandon: Callable[[], None],
        *,
        unmark: bool,
    ) -> None:
        async def work() -> None:
            while (task := run.start_next()) is not None:
                try:
                    run.done(task.id, await act(task))
                except (ConsoleError, OSError, ValueError) as exc:
                    run.refused(task.id, str(exc))
                else:
                    if unmark:
                        self._marks.remove(task.id)

        try:
            await asyncio.gather(*(work() for _ in range(AT_ONCE)))
        except asyncio.CancelledError:
            abandon()
            raise
        run.end(await finish(run))
        self._changed()
        self._host.notify(
            run.note,
            title=run.summary(),
            severity="error" if run.count("refused") else "information",
        )

    async def send(self, call: Call[T]) -> T:
        """Send a call that may be sent twice; try again where the failure may pass."""
        for pause_s in _PAUSES_S:
            try:
                return await self._backend.ask(call)
            except ApiProblem as exc:
                if exc.status not in {429, 503}:
                    raise
            except UnreachableError:
                pass
            await asyncio.sleep(pause_s)
        return await self._backend.ask(call)
