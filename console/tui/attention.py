"""Reads what alerts are about besides the service itself: all failed and all running tasks."""

from http import HTTPStatus

from msgspec import UnsetType

from api.contract.resources import TaskPage, TaskResource
from console.client import calls
from console.errors import ApiProblem
from console.tui.alert_desk import AlertDesk
from console.tui.api_session import ApiSession
from console.tui.view_models import failure_watch, stall_watch

_PAGE = 200


async def read_attention(backend: ApiSession, desk: AlertDesk) -> None:
    """Read the tasks that failed since the desk's last reading, and those that run.

    Raises `ConsoleError`. The numbers are bounded by `MAX_READ`, `MAX_TASKS` and `MAX_CHECKED`.
    """
    query = desk.failures_query()
    if query is None:  # the service was not read yet
        return
    call = calls.tasks(q=query, with_counts=True, limit=_PAGE)
    desk.take_failures(*await _listed(backend, call, failure_watch.MAX_READ))
    call = calls.tasks(status=["running"], sort="created", limit=_PAGE)
    running, _ = await _listed(backend, call, stall_watch.MAX_TASKS)
    for task_id in desk.take_running(running):
        try:
            desk.take_own(await backend.ask(calls.task(task_id)))
        except ApiProblem as exc:
            if exc.status != HTTPStatus.NOT_FOUND:  # it is listed, and its log is gone
                raise
    desk.tell_stalls()


async def _listed(
    backend: ApiSession, call: calls.Call[TaskPage], at_most: int
) -> tuple[list[TaskResource], int]:
    """Return the first tasks of a list, and how many match, if it was asked for."""
    page = await backend.ask(call)
    tasks, counts = list(page.data), page.counts
    while page.next_cursor is not None and len(tasks) < at_most:
        page = await backend.ask(calls.after_cursor(call, page.next_cursor))
        tasks += page.data
    return tasks, len(tasks) if isinstance(counts, UnsetType) else counts.matching
