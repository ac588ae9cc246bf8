"""Reads what alerts are about besides the service itself: all failed and all running tasks."""

from http import HTTPStatus

from msgspec import UnsetType

from api.contract.tasks import TaskPage, TaskResource
from console.client import calls
from console.errors import ApiProblem
from console.tui.alert_desk import AlertDesk
from console.tui.api_session import ApiSession
from console.tui.view_models import failure_watch, running_sweep

_PAGE = 200


async def read_attention(backend: ApiSession, desk: AlertDesk) -> None:
    """Read the tasks that failed since the desk's last reading, and those that run.

    Raises `ConsoleError`. A reading is bounded by `MAX_READ`, `PAGES` and `MAX_CHECKED`; of more
    running tasks the next reading has the next ones.
    """
    query = desk.failures_query()
    if query is None:  # the service was not read yet
        return
    call = calls.tasks(q=query, with_counts=True, limit=_PAGE)
    desk.take_failures(*await _failed(backend, call))
    try:
        running, cursor = await _running(backend, desk.running_cursor)
    except ApiProblem as exc:
        if exc.status == HTTPStatus.BAD_REQUEST:  # of another version, say
            desk.start_running_over()
        raise
    for task_id in desk.take_running(running, cursor):
        try:
            desk.take_own(await backend.ask(calls.task(task_id)))
        except ApiProblem as exc:
            if exc.status != HTTPStatus.NOT_FOUND:  # it is listed, and its log is gone
                raise
    desk.tell_stalls()


async def _failed(
    backend: ApiSession, call: calls.Call[TaskPage]
) -> tuple[list[TaskResource], int]:
    """Return the first tasks of a list, and how many match."""
    page = await backend.ask(call)
    tasks, counts = list(page.data), page.counts
    while page.next_cursor is not None and len(tasks) < failure_watch.MAX_READ:
        page = await backend.ask(calls.after_cursor(call, page.next_cursor))
        tasks += page.data
    return tasks, len(tasks) if isinstance(counts, UnsetType) else counts.matching


async def _running(
    backend: ApiSession, cursor: str | None
) -> tuple[list[TaskResource], str | None]:
    """Return the next running tasks, the oldest first, and the cursor after them."""
    call = calls.tasks(status=["running"], sort="created", limit=running_sweep.PAGE)
    tasks: list[TaskResource] = []
    for _ in range(running_sweep.PAGES):
        page = await backend.ask(call if cursor is None else calls.after_cursor(call, cursor))
        tasks += page.data
        cursor = page.next_cursor
        if cursor is None:
            break
    return tasks, cursor
