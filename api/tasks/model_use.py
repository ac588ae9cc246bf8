"""Use of a model by the tasks of all projects that wait or run: who needs it before it goes."""

from collections.abc import Callable

from api.contract.models import ModelTask, ModelTaskPage
from api.kafka.global_table import GlobalTable
from api.store.clickhouse import Rows
from api.store.task_queries import (
    count_open_tasks_with_model,
    known_task_ids,
    open_tasks_with_model,
)
from api.tasks.submission import RecentTasks, now_ms
from streamproc.contract.stored_request import StoredRequest
from streamproc.contract.timestamps import rfc3339

MAX_LISTED = 100


class ModelUse:
    """Finds open tasks by model: those in the index, and those that this process just accepted."""

    def __init__(
        self,
        rows: Rows,
        recent: RecentTasks,
        directory: GlobalTable,
        clock_ms: Callable[[], int] = now_ms,
    ) -> None:
        self._rows = rows
        self._recent = recent
        self._directory = directory
        self._clock_ms = clock_ms

    async def open_tasks(self, model: str) -> ModelTaskPage:
        """Return the tasks with a step of `model` (`name@version`), oldest first.

        What another process accepted within the last seconds may not be in the index yet.
        """
        recent = [one for one in self._recent.all(self._clock_ms()) if _names(one, model)]
        known = await known_task_ids(self._rows, [one.task for one in recent])
        fresh = [
            ModelTask(
                one.task,
                one.project,
                "cancelling" if self._cancelled(one.task) else "pending",
                rfc3339(one.created_ms),
            )
            for one in recent
            if one.task not in known
        ]
        found = await open_tasks_with_model(self._rows, model, MAX_LISTED)
        n_found = await count_open_tasks_with_model(self._rows, model)
        indexed = [
            ModelTask(
                row.task_id,
                row.project,
                "cancelling" if self._cancelled(row.task_id) else row.status,
                rfc3339(row.created_ms),
            )
            for row in found
        ]
        return ModelTaskPage([*indexed, *fresh][:MAX_LISTED], n_found + len(fresh))

    def _cancelled(self, task: str) -> bool:
        return self._directory.cancel_of(task) is not None


def _names(stored: StoredRequest, model: str) -> bool:
    return any(step.model == model for step in stored.spec.steps)
