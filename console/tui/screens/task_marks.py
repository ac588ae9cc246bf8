"""Marks of the Tasks tab: one row, a range of rows, and all tasks that fit the filter."""

from collections.abc import Callable, Sequence

from msgspec import UNSET
from textual.widget import Widget
from textual.worker import Worker

from api.contract.tasks import TaskPage, TaskResource
from console.client import calls
from console.errors import ConsoleError
from console.tui.api_session import ApiSession
from console.tui.drawing.formatting import grouped
from console.tui.view_models.marks import Marks
from console.tui.view_models.task_pages import GAP, TaskPages

_PAGE = 200


class TaskMarking:
    """Sets the marks of `host`, whose list has the tasks `tasks`; `changed` draws them.

    All that fit are read page by page, and marked once all pages are there: an action never meets
    a part of them.
    """

    def __init__(
        self,
        host: Widget,
        backend: ApiSession,
        tasks: TaskPages,
        list_call: Callable[..., calls.Call[TaskPage]],
        changed: Callable[[], None],
    ) -> None:
        self.marks = Marks()
        self._host = host
        self._backend = backend
        self._tasks = tasks
        self._list_call = list_call
        self._changed = changed
        self._reading: Worker[None] | None = None

    @property
    def is_reading(self) -> bool:
        """Whether tasks that are to be marked are being read."""
        return self._reading is not None and not self._reading.is_finished

    def toggle(self, key: str | None) -> None:
        task = self._tasks.task(key or "")
        if task is not None and not self.marks.toggle(task):
            self._say_full()
        self._changed()

    def mark_range(self, key: str | None) -> None:
        """Mark the rows from the last mark to `key`."""
        if key is None or key == GAP:
            return
        found = self.marks.range_to(key, self._tasks.keys)
        if found is None:
            self._host.notify(
                "Rows in between were not read yet: scroll through them, or press * for all that"
                " fit.",
                title="Not marked",
                severity="warning",
            )
            return
        tasks = [task for one in found if (task := self._tasks.task(one)) is not None]
        if not self.marks.add(tasks):
            self._say_full()
        self._changed()

    def mark_all(self) -> None:
        """Mark all tasks that fit the filter as it is now, also those that were not read yet."""
        if not self.is_reading:
            self._reading = self._host.run_worker(self._mark_all(), group="marks")
            self._changed()

    def clear(self) -> None:
        if self._reading is not None:
            self._reading.cancel()
            self._reading = None
        self.marks.clear()
        self._changed()

    async def _mark_all(self) -> None:
        call = self._list_call(limit=_PAGE, with_counts=True)
        found: dict[str, TaskResource] = {}
        n_matching = "more"
        try:
            while len(found) <= self.marks.at_most:
                page = await self._backend.ask(call)
                found |= {task.id: task for task in page.data}
                if page.counts is not UNSET:
                    more = "+" if page.counts.is_capped is True else ""
                    n_matching = f"{grouped(page.counts.matching)}{more}"
                if page.next_cursor is None:
                    break
                call = calls.after_cursor(call, page.next_cursor)
        except ConsoleError as exc:
            self._host.notify(str(exc), title="Not marked", severity="error")
        else:
            self._take(list(found.values()), n_matching)
        finally:
            self._reading = None
        self._changed()

    def _take(self, tasks: Sequence[TaskResource], n_matching: str) -> None:
        if not self.marks.add(tasks):
            self._host.notify(
                f"{self._limit()} {n_matching} fit the filter: the rest can follow, or narrow it.",
                title=f"{grouped(len(self.marks))} are marked",
                severity="warning",
            )

    def _say_full(self) -> None:
        self._host.notify(self._limit(), title="Not marked", severity="warning")

    def _limit(self) -> str:
        return f"At most {grouped(self.marks.at_most)} tasks can be marked."
