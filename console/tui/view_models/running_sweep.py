"""All running tasks, read a few pages at a time: where the next reading goes on. Pure.

The list is ordered by the time of submission. A reading takes its next pages, and after the last
one the list begins again. A task that a whole round did not find runs no more.
"""

from collections.abc import Sequence
from typing import NamedTuple

from api.contract.tasks import TaskResource

PAGE = 200
PAGES = 5
"""Pages of one reading."""
MAX_TASKS = 20_000
"""Running tasks that are watched, the oldest ones."""


class RunningRead(NamedTuple):
    """What one reading found: tasks as they are now, and ids of known ones that run no more.

    `n_running` is the number of running tasks that are known.
    """

    tasks: Sequence[TaskResource]
    gone: frozenset[str]
    n_running: int


class RunningSweep:
    """The rounds of one api; `cursor` leads to the next page, None to the first one."""

    def __init__(self) -> None:
        self.cursor: str | None = None
        self._found: set[str] = set()
        self._before: frozenset[str] = frozenset()

    def start_over(self) -> None:
        """Begin a new round: the api does not take the cursor."""
        self._before |= self._found
        self._found, self.cursor = set(), None

    def take(self, tasks: Sequence[TaskResource], cursor: str | None) -> RunningRead:
        """Take the pages that were read, and the cursor after them; None after the last page."""
        tasks = tasks[: MAX_TASKS - len(self._found)]
        self._found.update(task.id for task in tasks)
        if cursor is not None and len(self._found) < MAX_TASKS:
            self.cursor = cursor
            return RunningRead(tasks, frozenset(), len(self._found | self._before))
        gone = self._before - self._found
        self._before, self._found, self.cursor = frozenset(self._found), set(), None
        return RunningRead(tasks, gone, len(self._before))
