"""Tenant routes for the operator: limits and usage of projects. All need the admin key."""

from datetime import date
from typing import Annotated

import msgspec
from litestar import get, patch
from litestar.params import FromPath, QueryParameter

from api.audit import about
from api.contract import paths
from api.contract.projects import ProjectPatch, ProjectResource, UsageDay, UsagePage
from api.errors import InvalidRequestError
from api.http.body_limits import read_small
from api.http.body_validation import read_json
from api.http.pagination import UsageCursor, decode_cursor, encode_cursor
from api.routes.dependencies import AnyRequest, TheServices, admin_only
from api.routes.openapi import body_operation, problems
from api.store.usage_queries import UsageRow, list_usage

MAX_LIMIT = 200
DEFAULT_LIMIT = 50


@patch(
    f"{paths.PROJECTS}/{{project_id:str}}",
    operation_id="patchProject",
    guards=[admin_only],
    operation_class=body_operation(ProjectPatch),
    responses=problems(400, 403, 404, 413, 422),
)
async def patch_project(
    request: AnyRequest, services: TheServices, project_id: FromPath[str]
) -> ProjectResource:
    """Change the given limits of a project; null resets a limit to the server's setting."""
    wanted = read_json(await read_small(request), ProjectPatch)
    changed = await services.projects.change(project_id, wanted)
    given = msgspec.json.encode(wanted.limits).decode()
    about(request, project_id, project=project_id, detail=given)
    return changed


@get(
    paths.USAGE,
    operation_id="getUsage",
    guards=[admin_only],
    responses=problems(400, 403, 422),
)
async def get_usage(
    services: TheServices,
    of_project: Annotated[
        str | None, QueryParameter(name="project", required=False, max_length=256)
    ] = None,
    day_from: Annotated[
        str | None, QueryParameter(name="from", required=False, description="UTC day, inclusive")
    ] = None,
    day_to: Annotated[
        str | None, QueryParameter(name="to", required=False, description="UTC day, exclusive")
    ] = None,
    cursor: Annotated[str | None, QueryParameter(name="cursor", required=False)] = None,
    limit: Annotated[
        int, QueryParameter(name="limit", ge=1, le=MAX_LIMIT, required=False)
    ] = DEFAULT_LIMIT,
) -> UsagePage:
    """Return the usage of each project on each UTC day, newest first."""
    rows = await list_usage(
        services.rows,
        project=of_project,
        day_from=_day(day_from, "from"),
        day_to=_day(day_to, "to"),
        after=None if cursor is None else _after(cursor),
        limit=limit + 1,
    )
    page = rows[:limit]
    more = len(rows) > limit
    return UsagePage(
        data=[_resource(row) for row in page],
        next_cursor=encode_cursor(UsageCursor(page[-1].day, page[-1].project)) if more else None,
    )


def _day(text: str | None, name: str) -> str | None:
    """Parse a day; raises InvalidRequestError unless it is YYYY-MM-DD from 1970 to 2148."""
    if text is None:
        return None
    try:
        found = date.fromisoformat(text)
    except ValueError as exc:
        raise InvalidRequestError.at(name, "must be a day: YYYY-MM-DD") from exc
    if not 1970 <= found.year < 2149:
        raise InvalidRequestError.at(name, "must be between 1970-01-01 and 2148-12-31")
    return found.isoformat()


def _after(text: str) -> UsageCursor:
    cursor = decode_cursor(text, UsageCursor)
    _day(cursor.day, "cursor")
    return cursor


def _resource(row: UsageRow) -> UsageDay:
    return UsageDay(
        day=row.day,
        project=row.project,
        tasks=row.tasks,
        processed_frames=row.processed_frames,
        decoded_frames=row.decoded_frames,
        processing_s=row.processing_time_ms / 1000,
        log_bytes=row.log_bytes,
    )


HANDLERS = [patch_project, get_usage]
