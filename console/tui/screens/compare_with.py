"""Dialog: what a task is to be compared with."""

from typing import ClassVar

from textual import on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.widgets import Input, Label

from api.contract.resources import ModelResource
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


class CompareWithScreen(Dialog[str | Change | None]):
    """Its result is a task's id, the change for a second run, or None if it was closed."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "leave", "Cancel")]

    def __init__(self, backend: ApiSession, subject: Subject) -> None:
        super().__init__()
        self._backend = backend
        self._subject = subject
        self._choices: list[Choice] = []

    def compose(self) -> ComposeResult:
        title = f"Compare the tracks of {short_id(self._subject.task)} with"
        with Vertical(classes="dialog-box -wide"):
            yield Label(title, classes="dialog-title", markup=False)
            yield Input(
                placeholder='a task, a model, a precision, or parameters: {"detail": "fine"}',
                id="other",
                compact=True,
            )
            yield Label("", id="wrong", classes="wrong", markup=False)
            yield Listing(CHOICE_COLUMNS, id="choices", empty="reading …")

    def on_mount(self) -> None:
        self.query_one(Listing).focus()
        self._read_choices()

    @work(exclusive=True, group="choices")
    async def _read_choices(self) -> None:
        """Read the models, then which of the newest tasks have the same video."""
        request = self._subject.request
        models: list[ModelResource] = []
        try:
            models = (await self._backend.ask(calls.models())).data
        except ConsoleError as exc:
            self._say(f"The models cannot be read: {exc}")
        self._offer(second_runs(request, models))
        try:
            page = await self._backend.ask(calls.tasks(status=_COMPARABLE, limit=_NEWEST))
            for listed in page.data:
                if listed.id != self._subject.task:
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
        self.dismiss(read_choice(message.key))

    @on(Input.Submitted, "#other")
    def _typed(self, message: Input.Submitted) -> None:
        message.stop()
        try:
            self.dismiss(read_choice(message.value))
        except ValueError as exc:
            self._say(str(exc))

    def _say(self, text: str) -> None:
        self.query_one("#wrong", Label).update(text)

    def action_leave(self) -> None:
        self.dismiss(None)
