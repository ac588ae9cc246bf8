"""Task list route: a project's tasks by a query, in any order."""

from typing import Annotated

from litestar import get
from litestar.params import QueryParameter

from api.contract import paths
from api.contract.query.tasks import NEWEST_FIRST, TASKS, Sort, parse_sort
from api.contract.query.terms import Among, Query
from api.contract.tasks import STATUSES, TaskPage
from api.errors import InvalidRequestError
from api.http.pagination import SortedTaskCursor, TaskCursor, decode_cursor
from api.routes.dependencies import TheProject, TheServices
from api.routes.listing import (
    DEFAULT_LIMIT,
    MAX_LIMIT,
    Cursor,
    From,
    Include,
    Limit,
    QueryText,
    To,
    among,
    parse_query,
    wants_counts,
)
from api.routes.openapi import problems
from api.store.task_queries import TaskQuery
from api.timestamps import parse_time_ms


@get(paths.TASKS, operation_id="listTasks", responses=problems(400, 403, 422))
async def list_tasks(
    services: TheServices,
    project: TheProject,
    q: QueryText = None,
    status: Annotated[list[str] | None, QueryParameter(name="status", required=False)] = None,
    source: Annotated[list[str] | None, QueryParameter(name="source", required=False)] = None,
    class_name: Annotated[list[str] | None, QueryParameter(name="class", required=False)] = None,
    task: Annotated[list[str] | None, QueryParameter(name="task", required=False)] = None,
    sort: Annotated[str | None, QueryParameter(name="sort", required=False)] = None,
    created_from: From = None,
    created_to: To = None,
    include: Include = None,
    cursor: Cursor = None,
    limit: Limit = DEFAULT_LIMIT,
) -> TaskPage:
    """List the project's tasks, newest first unless `sort` says otherwise."""
    if len(task or ()) > MAX_LIMIT:
        raise InvalidRequestError.at("task", f"can be given at most {MAX_LIMIT} times")
    order = _sort(sort)
    wanted = TaskQuery(
        query=Query(
            (
                *parse_query(q, TASKS).terms,
                *_statuses(status or []),
                *among("source", "source", source),
                *among("class", "class", class_name),
            )
        ),
        sort=order,
        tasks=tuple(task or ()),
        from_ms=None if created_from is None else parse_time_ms(created_from, "from"),
        to_ms=None if created_to is None else parse_time_ms(created_to, "to"),
    )
    after = None if cursor is None else _cursor(cursor, order)
    return await services.listing.page(
        project, wanted, after, limit, with_counts=wants_counts(include)
    )


def _statuses(given: list[str]) -> tuple[Among, ...]:
    for i, text in enumerate(given):
        if text not in STATUSES:
            raise InvalidRequestError.at(
                f"status[{i}]", f"no such status; there are: {', '.join(STATUSES)}"
            )
    return (Among("status", tuple(dict.fromkeys(given))),) if given else ()


def _sort(text: str | None) -> Sort:
    if text is None:
        return NEWEST_FIRST
    try:
        return parse_sort(text)
    except ValueError as exc:
        raise InvalidRequestError.at("sort", str(exc)) from exc


def _cursor(text: str, sort: Sort) -> TaskCursor | SortedTaskCursor:
    """Decode the cursor of a list in this order; raises BadRequestError for another one."""
    if sort == NEWEST_FIRST:
        return decode_cursor(text, TaskCursor)
    return decode_cursor(text, SortedTaskCursor)


HANDLERS = [list_tasks]
