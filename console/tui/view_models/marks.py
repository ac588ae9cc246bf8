"""Marks: the tasks that an action on many is about. No I/O, no UI.

Marks belong to tasks, not to rows: paging, a refresh, another filter or another order keep them. A
mark holds the last known state of its task, which may be one that the list has not loaded.
"""

from collections.abc import Iterable, Iterator, Sequence

from api.contract.tasks import TaskResource
from console.tui.view_models.task_pages import GAP

MAX_MARKS = 1000


class Marks:
    """Marked tasks, in the order in which they were marked; `at_most` is how many there may be."""

    def __init__(self, at_most: int = MAX_MARKS) -> None:
        self.at_most = at_most
        self._tasks: dict[str, TaskResource] = {}
        self._last: str | None = None

    def __len__(self) -> int:
        return len(self._tasks)

    def __contains__(self, task_id: object) -> bool:
        return task_id in self._tasks

    def __iter__(self) -> Iterator[str]:
        return iter(self._tasks)

    @property
    def tasks(self) -> tuple[TaskResource, ...]:
        return tuple(self._tasks.values())

    @property
    def is_full(self) -> bool:
        return len(self._tasks) >= self.at_most

    def task(self, task_id: str) -> TaskResource | None:
        return self._tasks.get(task_id)

    def toggle(self, task: TaskResource) -> bool:
        """Mark the task, or remove its mark; False if there are `at_most` already."""
        if self._tasks.pop(task.id, None) is not None:
            self._last = task.id  # a range may begin where a mark was removed, too
            return True
        return self.add([task])

    def add(self, tasks: Iterable[TaskResource]) -> bool:
        """Mark the tasks; False if that was not possible for all: see `at_most`."""
        for task in tasks:
            if self.is_full and task.id not in self._tasks:
                return False
            self._tasks[task.id] = task
            self._last = task.id
        return True

    def range_to(self, key: str, keys: Sequence[str]) -> Sequence[str] | None:
        """Return the keys from the last mark to `key`, in the order of the list, both included.

        Without a last mark in the list it is `key` alone. None: rows between the two are not
        loaded.
        """
        if self._last is None or self._last not in keys:
            return (key,)
        first, last = sorted((keys.index(self._last), keys.index(key)))
        found = keys[first : last + 1]
        return None if GAP in found else found

    def update(self, tasks: Iterable[TaskResource]) -> None:
        """Take newer states of tasks that are marked."""
        for task in tasks:
            if task.id in self._tasks:
                self._tasks[task.id] = task

    def remove(self, task_id: str) -> None:
        self._tasks.pop(task_id, None)

    def clear(self) -> None:
        self._tasks.clear()
        self._last = None

    def n_elsewhere(self, listed: Iterable[str]) -> int:
        """Return how many marked tasks are not among the `listed` ones."""
        return len(self._tasks.keys() - set(listed))
