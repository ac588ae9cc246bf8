"""Filter of the task list: chips of statuses and times, a query, and the count."""

from msgspec.structs import replace
from textual import on
from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical
from textual.reactive import reactive

from api.contract.counts import Counts
from api.contract.query.tasks import TASKS
from api.contract.tasks import STATUSES, Status
from console.tui.drawing.formatting import counts_text, grouped
from console.tui.drawing.styled_text import Line
from console.tui.view_models.task_list import ACTIVE, WINDOWS, TaskFilter
from console.tui.widgets.canvas import Fitted, Lines
from console.tui.widgets.chips import Chips
from console.tui.widgets.query_line import QueryLine

_CYCLE: tuple[frozenset[Status], ...] = (
    frozenset(),
    ACTIVE,
    *(frozenset({status}) for status in ("succeeded", "failed", "cancelled")),  # type: ignore[arg-type]
)


class TaskFilterBar(Vertical):
    """`wanted` is the chosen filter: watch it. Its query is shown while it is edited or set."""

    DEFAULT_CSS = "TaskFilterBar { height: auto; }"

    wanted: reactive[TaskFilter] = reactive(TaskFilter())

    def compose(self) -> ComposeResult:
        with Horizontal(id="task-filters", classes="strip"):
            yield Chips(("all", *STATUSES), id="statuses")
            yield Chips(tuple(WINDOWS), id="windows")
            yield Fitted(id="task-count")
        yield QueryLine(
            TASKS,
            hint="status:failed source:gate* -ocr age<2h fps<5 class:car, or any words",
            is_live=True,
            input_id="words",
            id="task-query",
        )
        yield Lines(id="task-marks", classes="strip")

    def on_mount(self) -> None:
        self._show_chips()

    def show_count(self, counts: Counts | None) -> None:
        """Show how many tasks match of how many; None: it is unknown."""

        def lines(width: int) -> list[Line]:
            text = "" if counts is None else counts_text(counts, " tasks")
            if counts is not None and len(text) > width:
                text = counts_text(counts)
            return [((text, "dim"),)]

        self.query_one("#task-count", Fitted).show(lines)

    def show_marks(self, n_marked: int, n_elsewhere: int, *, is_reading: bool) -> None:
        """Show how many tasks are marked, and how many of them are not in the list as it is."""
        shown = self.query_one("#task-marks", Lines)
        shown.display = is_reading or n_marked > 0
        spans = [(f"▌ {grouped(n_marked)} marked", "accent!")]
        if n_elsewhere:
            spans.append((f", {grouped(n_elsewhere)} not in the rows below", "accent"))
        if is_reading:
            spans.append(("  reading all that fit …", "info"))
        spans.append(("   c r x y Y act on them, u unmarks", "dim"))
        shown.show([tuple(spans)])

    def edit_words(self) -> None:
        self.query_one(QueryLine).edit()

    def clear(self) -> None:
        self.query_one(QueryLine).set_text("")
        self.wanted = TaskFilter()

    def take(self, wanted: TaskFilter) -> None:
        """Take a whole filter as if it had been entered; raises `QueryError`."""
        self.query_one(QueryLine).set_text(wanted.text)
        self.wanted = wanted

    @property
    def is_edited(self) -> bool:
        """Whether the query is being typed."""
        return self.query_one(QueryLine).is_edited

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

    @on(QueryLine.Changed)
    def _query_changed(self, message: QueryLine.Changed) -> None:
        self.wanted = replace(self.wanted, text=message.text)
