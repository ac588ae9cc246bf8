"""State of one action on many tasks: what is under way, and how it ended for each. Pure."""

from collections.abc import Sequence
from typing import Literal

import msgspec

from api.contract.tasks import TaskResource

AT_ONCE = 4
"""Most requests of one action that are under way at a time."""
State = Literal["waiting", "under way", "done", "refused", "not sent"]


class Item(msgspec.Struct, frozen=True):
    """One task of the action, and its result. `result` is for a person; empty before the end."""

    task: TaskResource
    state: State = "waiting"
    result: str = ""


class BulkRun:
    """An action on tasks. `done_word` says what was done: `cancelled`.

    The tasks are those that the user was asked about; none is added later.
    """

    def __init__(self, tasks: Sequence[TaskResource], done_word: str) -> None:
        self._items = {task.id: Item(task) for task in tasks}
        self._waiting = list(reversed(self._items))
        self.done_word = done_word
        self.note = ""
        self.is_over = False

    @property
    def items(self) -> tuple[Item, ...]:
        return tuple(self._items.values())

    def count(self, state: State) -> int:
        return sum(item.state == state for item in self._items.values())

    def start_next(self) -> TaskResource | None:
        """Return the next task, which is under way from now on; None if none waits."""
        if not self._waiting:
            return None
        task_id = self._waiting.pop()
        self._set(task_id, "under way", "")
        return self._items[task_id].task

    def done(self, task_id: str, result: str) -> None:
        self._set(task_id, "done", result)

    def refused(self, task_id: str, reason: str) -> None:
        self._set(task_id, "refused", reason)

    def stop(self) -> None:
        """Send nothing more; what is under way ends."""
        for task_id in self._waiting:
            self._set(task_id, "not sent", "stopped before its turn")
        self._waiting = []

    def end(self, note: str) -> None:
        """All tasks have a result; `note` is what else is to be said, such as where a file is."""
        self.note = note
        self.is_over = True

    def summary(self) -> str:
        """Return the sum of it: `10 of 12 cancelled, 2 refused`."""
        n_all, n_done = len(self._items), self.count("done")
        parts = [f"{n_done} of {n_all} {self.done_word}"]
        if n_refused := self.count("refused"):
            parts.append(f"{n_refused} refused")
        if n_unsent := self.count("not sent"):
            parts.append(f"{n_unsent} not sent")
        return ", ".join(parts)

    def _set(self, task_id: str, state: State, result: str) -> None:
        item = self._items[task_id]
        self._items[task_id] = msgspec.structs.replace(item, state=state, result=result)
