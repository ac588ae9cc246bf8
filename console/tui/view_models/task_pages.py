"""View model of a long list of tasks: the rows from its begin, those from its end, and the gap.

The order is the api's. `head` grows from the begin, page by page; `tail` is what was read from the
end, in the same order. Between them is a gap of rows that nobody has looked at, until the two meet.
No I/O, no UI.
"""

from collections.abc import Iterable, Sequence

from msgspec import UNSET

from api.contract.counts import Counts
from api.contract.tasks import TaskPage, TaskResource
from console.tui.view_models.task_list import ACTIVE

GAP = "…"
"""Key of the row that stands for the gap."""
MAX_REFRESHED = 200


class TaskPages:
    """The loaded rows of one list. `head_cursor` and `tail_cursor` lead into the gap.

    `tail_cursor` is one of the list in the opposite order.
    """

    def __init__(self) -> None:
        self._tasks: dict[str, TaskResource] = {}
        self._head: list[str] = []
        self._tail: list[str] = []
        self._newest: frozenset[str] = frozenset()
        self.head_cursor: str | None = None
        self.tail_cursor: str | None = None
        self.counts: Counts | None = None
        self.loaded = False

    def __len__(self) -> int:
        return len(self._tasks)

    @property
    def has_gap(self) -> bool:
        return bool(self._tail)

    @property
    def keys(self) -> Sequence[str]:
        """The ids of the loaded tasks in the list's order, with `GAP` where rows are missing."""
        return [*self._head, GAP, *self._tail] if self._tail else self._head

    @property
    def n_missing(self) -> int | None:
        """The number of rows in the gap, at least 1; None if it is unknown."""
        if self.counts is None or self.counts.is_capped is True:
            return None
        return max(1, self.counts.matching - len(self._head) - len(self._tail))

    @property
    def misses_end(self) -> bool:
        """Whether rows were added after the last loaded one."""
        is_whole = self.loaded and self.head_cursor is None and not self._tail
        return is_whole and self.counts is not None and self.counts.matching > len(self._head)

    def task(self, task_id: str) -> TaskResource | None:
        return self._tasks.get(task_id)

    def start_over(self) -> None:
        """Let the next first page replace all rows: another filter or order was chosen."""
        self.loaded = False

    def refresh(self, page: TaskPage) -> None:
        """Merge a new first page.

        If it has no row of the one before, more rows are new than it holds: the others are dropped.
        """
        if page.counts is not UNSET:
            self.counts = page.counts
        fresh = [task.id for task in page.data]
        overlaps = not self._newest.isdisjoint(fresh)
        self._newest = frozenset(fresh)
        if not self.loaded or not overlaps or page.next_cursor is None:
            self._tasks, self._head, self._tail = {}, fresh, []
            self.head_cursor = page.next_cursor
        else:
            self._head = fresh + [task for task in self._head if task not in self._newest]
            self._tail = [task for task in self._tail if task not in self._newest]
            if not self._tail:
                self.tail_cursor = None
        self.loaded = True
        self.update(page.data)

    def extend(self, page: TaskPage) -> None:
        """Add the page after `head_cursor`."""
        known = set(self._head)
        fresh = [task.id for task in page.data if task.id not in known]
        self._head, joined = _joined(self._head + fresh, self._tail)
        self.head_cursor = page.next_cursor
        self._close(joined or page.next_cursor is None)
        self.update(page.data)

    def show_end(self, page: TaskPage) -> None:
        """Take the first page of the opposite order as the list's end."""
        self.tail_cursor = page.next_cursor
        self._add_tail([], page)

    def extend_tail(self, page: TaskPage) -> None:
        """Add the page after `tail_cursor` before the tail."""
        self.tail_cursor = page.next_cursor
        self._add_tail(self._tail, page)

    def update(self, tasks: Sequence[TaskResource], asked: Iterable[str] = ()) -> None:
        """Take newer states of loaded tasks; remove those that were asked for and did not come."""
        for task in tasks:
            self._tasks[task.id] = task
        gone = set(asked) - {task.id for task in tasks}
        self._head = [task for task in self._head if task not in gone]
        self._tail = [task for task in self._tail if task not in gone]
        listed = {*self._head, *self._tail}
        for task_id in [task_id for task_id in self._tasks if task_id not in listed]:
            del self._tasks[task_id]

    def outdated(self, in_sight: Iterable[str]) -> tuple[str, ...]:
        """Return the tasks that a first page does not refresh and that may have changed.

        Those in sight come first, then those that were active; at most `MAX_REFRESHED`.
        """
        active = (task.id for task in self._tasks.values() if task.status in ACTIVE)
        wanted = dict.fromkeys((*in_sight, *active))
        found = [one for one in wanted if one in self._tasks and one not in self._newest]
        return tuple(found[:MAX_REFRESHED])

    def _add_tail(self, tail: list[str], page: TaskPage) -> None:
        known = set(tail)
        fresh = [task.id for task in reversed(page.data) if task.id not in known]
        self._head, joined = _joined(self._head, fresh + tail)
        self._tail = [] if joined else fresh + tail
        self._close(joined)
        self.update(page.data)

    def _close(self, is_whole: bool) -> None:
        if is_whole:
            self._tail = []
            self.head_cursor = self.tail_cursor = None


def _joined(head: list[str], tail: list[str]) -> tuple[list[str], bool]:
    """Return the head, with the tail after it if they have a row in common, and whether they do."""
    in_tail = set(tail)
    at = next((i for i, task in enumerate(head) if task in in_tail), None)
    return (head, False) if at is None else (head[:at] + tail, True)
