"""Mix-in for filtering and sorting of the task list, by keys, text and mouse."""

from textual import on
from textual.reactive import reactive
from textual.widget import Widget
from textual.widgets import Input

from api.contract.resources import STATUSES, Status
from console.tui.view_models.task_list import ACTIVE, SORT_KEYS, WINDOWS, SortKey, TaskFilter
from console.tui.widgets.chips import Chips
from console.tui.widgets.table import Listing

_CYCLE: tuple[frozenset[Status], ...] = (
    frozenset(),
    ACTIVE,
    *(frozenset({status}) for status in ("succeeded", "failed", "cancelled")),  # type: ignore[arg-type]
)


class TaskFilters(Widget):
    """Filter `wanted`, applied by the api and to its answers; `sort` is (key, reversed)."""

    wanted: reactive[TaskFilter] = reactive(TaskFilter())
    sort: reactive[tuple[SortKey, bool]] = reactive(("age", False))

    @on(Listing.TitleClicked, "#task-list")
    def _title_clicked(self, message: Listing.TitleClicked) -> None:
        for key in SORT_KEYS:
            if key == message.column:
                self.sort = (key, not self.sort[1] if key == self.sort[0] else False)

    @on(Chips.Clicked, "#statuses")
    def _status_clicked(self, message: Chips.Clicked) -> None:
        on_now = self.wanted.statuses
        status = next((known for known in STATUSES if known == message.name), None)
        self._want(statuses=frozenset() if status is None else on_now ^ {status})

    @on(Chips.Clicked, "#windows")
    def _window_clicked(self, message: Chips.Clicked) -> None:
        self._want(window=message.name)

    @on(Input.Changed, "#words")
    def _words_changed(self, message: Input.Changed) -> None:
        self._want(text=message.value)

    @on(Input.Submitted, "#words")
    def _words_given(self) -> None:
        self.query_one(Listing).focus()
        self.query_one("#words").set_class(bool(self.wanted.text), "-shown")

    def action_filter(self) -> None:
        words = self.query_one("#words", Input)
        words.add_class("-shown")
        words.focus()

    def action_clear_filter(self) -> None:
        words = self.query_one("#words", Input)
        words.value = ""
        words.remove_class("-shown")
        self.wanted = TaskFilter()
        self.query_one(Listing).focus()

    def action_next_status(self) -> None:
        at = _CYCLE.index(self.wanted.statuses) if self.wanted.statuses in _CYCLE else -1
        self._want(statuses=_CYCLE[(at + 1) % len(_CYCLE)])

    def action_next_window(self) -> None:
        names = list(WINDOWS)
        self._want(window=names[(names.index(self.wanted.window) + 1) % len(names)])

    def action_next_sort(self) -> None:
        self.sort = (SORT_KEYS[(SORT_KEYS.index(self.sort[0]) + 1) % len(SORT_KEYS)], False)

    def action_reverse(self) -> None:
        self.sort = (self.sort[0], not self.sort[1])

    def _want(
        self,
        *,
        statuses: frozenset[Status] | None = None,
        window: str | None = None,
        text: str | None = None,
    ) -> None:
        now = self.wanted
        self.wanted = TaskFilter(
            now.statuses if statuses is None else statuses,
            now.window if window is None else window,
            now.text if text is None else text,
        )
