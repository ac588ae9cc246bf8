"""Filter of the task list: chips of statuses and times, a line of words, and the count."""

from msgspec.structs import replace
from textual import on
from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical
from textual.reactive import reactive
from textual.widgets import Input

from api.contract.resources import STATUSES, Status
from console.tui.view_models.task_list import ACTIVE, WINDOWS, TaskFilter
from console.tui.widgets.canvas import Lines
from console.tui.widgets.chips import Chips

_CYCLE: tuple[frozenset[Status], ...] = (
    frozenset(),
    ACTIVE,
    *(frozenset({status}) for status in ("succeeded", "failed", "cancelled")),  # type: ignore[arg-type]
)


class TaskFilterBar(Vertical):
    """`wanted` is the chosen filter: watch it. Its words are shown while they are edited or set."""

    DEFAULT_CSS = "TaskFilterBar { height: auto; }"

    wanted: reactive[TaskFilter] = reactive(TaskFilter())

    def compose(self) -> ComposeResult:
        with Horizontal(id="task-filters", classes="strip"):
            yield Chips(("all", *STATUSES), id="statuses")
            yield Chips(tuple(WINDOWS), id="windows")
            yield Lines(id="task-count")
        yield Input(
            placeholder="words to filter by: status, source, step, id, error",
            id="words",
            compact=True,
            disabled=True,
        )

    def on_mount(self) -> None:
        self._show_chips()

    def show_count(self, text: str) -> None:
        self.query_one("#task-count", Lines).show([((text, "dim"),)])

    def edit_words(self) -> None:
        """Show the words and focus them at once, so that the next key is their first letter."""
        self._show_words(True)
        self.screen.set_focus(self.query_one("#words", Input))

    def clear(self) -> None:
        self.query_one("#words", Input).value = ""
        self._show_words(False)
        self.wanted = TaskFilter()

    def next_status(self) -> None:
        at = _CYCLE.index(self.wanted.statuses) if self.wanted.statuses in _CYCLE else -1
        self.wanted = replace(self.wanted, statuses=_CYCLE[(at + 1) % len(_CYCLE)])

    def next_window(self) -> None:
        names = list(WINDOWS)
        window = names[(names.index(self.wanted.window) + 1) % len(names)]
        self.wanted = replace(self.wanted, window=window)

    def watch_wanted(self) -> None:
        if self.is_mounted:
            self._show_chips()

    def _show_chips(self) -> None:
        self.query_one("#statuses", Chips).show(frozenset(self.wanted.statuses or {"all"}))
        self.query_one("#windows", Chips).show(frozenset({self.wanted.window}))

    @on(Chips.Clicked, "#statuses")
    def _status_clicked(self, message: Chips.Clicked) -> None:
        status = next((known for known in STATUSES if known == message.name), None)
        statuses = frozenset() if status is None else self.wanted.statuses ^ {status}
        self.wanted = replace(self.wanted, statuses=statuses)

    @on(Chips.Clicked, "#windows")
    def _window_clicked(self, message: Chips.Clicked) -> None:
        self.wanted = replace(self.wanted, window=message.name)

    @on(Input.Changed, "#words")
    def _words_changed(self, message: Input.Changed) -> None:
        self.wanted = replace(self.wanted, text=message.value)

    @on(Input.Submitted, "#words")
    def _words_given(self) -> None:
        self._show_words(bool(self.query_one("#words", Input).value))

    def _show_words(self, shown: bool) -> None:
        """Show or hide the words; hidden ones are disabled, so that they cannot have the focus."""
        words = self.query_one("#words", Input)
        words.disabled = not shown
        words.set_class(shown, "-shown")
