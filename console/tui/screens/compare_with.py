"""Dialog: what a task is to be compared with."""

from collections.abc import Awaitable, Callable
from typing import Any, ClassVar, NamedTuple

from textual import on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.widgets import Input, Label

from api.contract.models import ModelResource
from console.client import calls
from console.comparison.rerun import Change
from console.comparison.result import Subject
from console.errors import ConsoleError
from console.tui.api_session import ApiSession
from console.tui.drawing.formatting import short_id
from console.tui.screens.dialog import Dialog
from console.tui.view_models.comparison_choices import (
    Choice,
    other_task,
    read_choice,
    second_runs,
)
from console.tui.widgets.comparison_rendering import CHOICE_COLUMNS, choice_rows
from console.tui.widgets.table import Listing

_NEWEST = 50  # tasks whose video is looked at
_COMPARABLE = ("pending", "running", "succeeded")


class Asked(NamedTuple):
    """The task, and what it is compared with: a task's id, or the change for a second run."""

    subject: Subject
    other: str | Change


class CompareWithScreen(Dialog[Asked | None]):
    """Its result is None if it was closed. It opens at once, and reads the task's request then."""

    AUTO_FOCUS = "#choices"
    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "leave", "Cancel")]

    def __init__(
        self,
        backend: ApiSession,
        task_id: str,
        read_request: Callable[[], Awaitable[dict[str, Any] | None]],
        other: str | None = None,
    ) -> None:
        """`read_request` says itself why it returns None.

        With the id of an `other` task nothing is asked: the dialog closes once the request is read.
        """
        super().__init__()
        self._backend = backend
        self._task_id = task_id
        self._read_request = read_request
        self._other = other
        self._subject: Subject | None = None
        self._choices: list[Choice] = []

    def compose(self) -> ComposeResult:
        title = f"Compare the tracks of {short_id(self._task_id)} with"
        with Vertical(classes="dialog-box -wide"):
            yield Label(title, classes="dialog-title", markup=False)
            yield Input(
                self._other or "",
                placeholder='a task, a model, a precision, or parameters: {"detail": "fine"}',
                id="other",
                compact=True,
            )
            yield Label("", id="wrong", classes="wrong", markup=False)
            yield Listing(CHOICE_COLUMNS, id="choices", empty="reading …")

    def on_mount(self) -> None:
        self._read_choices()

    @work(exclusive=True, group="choices")
    async def _read_choices(self) -> None:
        """Read the models, then which of the newest tasks have the same video."""
        request = await self._read_request()
        if request is None:
            self.dismiss(None)
            return
        self._subject = Subject(self._task_id, request)
        if self._other is not None:
            self._answer(self._other)
            return
        models: list[ModelResource] = []
        try:
            models = (await self._backend.ask(calls.models())).data
        except ConsoleError as exc:
            self._say(f"The models cannot be read: {exc}")
        self._offer(second_runs(request, models))
        try:
            page = await self._backend.ask(calls.tasks(status=_COMPARABLE, limit=_NEWEST))
            for listed in page.data:
                if listed.id != self._task_id:
                    task = await self._backend.ask(calls.task(listed.id, include_request=True))
                    choice = other_task(request, task)
                    self._offer([choice] if choice is not None else [])
        except ConsoleError as exc:
            self._say(f"The other tasks cannot be read: {exc}")

    def _offer(self, found: list[Choice]) -> None:
        self._choices += found
        self.query_one(Listing).show(choice_rows(self._choices))

    @on(Listing.Chosen, "#choices")
    def _chosen(self, message: Listing.Chosen) -> None:
        message.stop()
        self._answer(read_choice(message.key))

    @on(Input.Submitted, "#other")
    def _typed(self, message: Input.Submitted) -> None:
        message.stop()
        try:
            self._answer(read_choice(message.value))
        except ValueError as exc:
            self._say(str(exc))

    def _answer(self, other: str | Change) -> None:
        if self._subject is None:
            self._say("The task's request is not read yet.")
        else:
            self._close(Asked(self._subject, other))

    def _close(self, asked: Asked | None) -> None:
        self.workers.cancel_group(self, "choices")  # what it reads has no place any more
        self.dismiss(asked)

    def _say(self, text: str) -> None:
        self.query_one("#wrong", Label).update(text)

    def action_leave(self) -> None:
        self._close(None)
