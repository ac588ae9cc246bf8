"""Task routes: submit, status, cancel, results."""

import asyncio
from functools import partial
from typing import Annotated

from litestar import Response, get, post
from litestar.params import FromPath, HeaderParameter, QueryParameter

from api.audit import about
from api.contract import paths
from api.contract.requests import ProcessRequest
from api.contract.tasks import Accepted, CancelAccepted, ResultResource, TaskResource
from api.errors import BadRequestError, InvalidRequestError
from api.routes.dependencies import AnyRequest, TheProject, TheServices
from api.routes.listing import Cursor
from api.routes.openapi import body_operation, problems
from api.scopes import SUBMIT
from api.tasks.request_parser import parse_request
from api.tasks.results import MAX_TRACKS, ResultQuery

MAX_IDEMPOTENCY_KEY_LENGTH = 255
_INLINE_BYTES = 64 * 1024

IdempotencyKey = Annotated[
    str | None,
    HeaderParameter(
        name="Idempotency-Key",
        required=False,
        max_length=MAX_IDEMPOTENCY_KEY_LENGTH,
        description="The same key and body within 24 hours are the same task",
    ),
]


@post(
    paths.PROCESS,
    status_code=202,
    operation_id="processVideo",
    scope=SUBMIT,
    operation_class=body_operation(ProcessRequest),
    responses=problems(400, 403, 408, 409, 413, 422, 429, 507),
)
async def process_video(
    request: AnyRequest,
    services: TheServices,
    project: TheProject,
    idempotency_key: IdempotencyKey = None,
) -> Response[Accepted]:
    """Submit a video. A 202 response means that the task is durably accepted and will be done."""
    if idempotency_key is not None and not (
        idempotency_key.strip() and idempotency_key.isprintable()
    ):
        raise BadRequestError("The Idempotency-Key must hold 1 to 255 printable characters.")
    services.disk.admit()
    headers = await services.quotas.admit(project)
    with services.bodies.lease(project) as lease:
        body = await services.bodies.read_submission(request, lease)
        read = partial(
            parse_request,
            body.json,
            services.registry,
            max_upload_bytes=services.settings.max_upload_bytes,
            upload=body.upload,
            providers=services.providers,
            max_record_s=services.settings.max_record_s,
        )
        parsed = read() if len(body.json) < _INLINE_BYTES else await asyncio.to_thread(read)
        services.quotas.admit_upload(project, len(parsed.upload or b""))
        with services.quotas.entering_task(project):
            stored = await services.submissions.submit(project, parsed, idempotency_key)
    services.metrics.submitted.inc()
    about(request, stored.task)
    accepted = Accepted(id=stored.task, status="pending", stream_url=paths.stream(stored.task))
    return Response(accepted, headers=headers)


@get(
    f"{paths.TASKS}/{{task_id:str}}",
    operation_id="getTask",
    responses=problems(400, 403, 404, 422),
)
async def get_task(
    services: TheServices,
    project: TheProject,
    task_id: FromPath[str],
    include: Annotated[list[str] | None, QueryParameter(name="include", required=False)] = None,
) -> TaskResource:
    """Return a task's status from its log; `include=request` adds the request."""
    for value in include or []:
        if value != "request":
            raise InvalidRequestError.at("include", "there is only: request")
    return await services.tasks.get(project, task_id, with_request=bool(include))


@post(
    f"{paths.TASKS}/{{task_id:str}}/cancel",
    status_code=202,
    operation_id="cancelTask",
    scope=SUBMIT,
    responses=problems(400, 403, 404, 409),
)
async def cancel_task(
    services: TheServices, project: TheProject, task_id: FromPath[str]
) -> CancelAccepted:
    """Request that a task ends. Its log so far stays readable."""
    return await services.tasks.cancel(project, task_id)


@get(
    f"{paths.TASKS}/{{task_id:str}}/results",
    operation_id="getResults",
    responses=problems(400, 403, 404, 422),
)
async def get_results(
    services: TheServices,
    project: TheProject,
    task_id: FromPath[str],
    partial: Annotated[
        bool,
        QueryParameter(
            name="partial", required=False, description="the results so far, of any task"
        ),
    ] = False,
    limit: Annotated[
        int | None, QueryParameter(name="limit", ge=1, le=MAX_TRACKS, required=False)
    ] = None,
    cursor: Cursor = None,
) -> ResultResource:
    """Return a succeeded task's tracks, aggregated over its whole stream.

    Those of a live task once it is cancelled, and of any task so far with `partial`. These two come
    in pages, by track id.
    """
    return await services.tasks.results(project, task_id, ResultQuery(partial, limit, cursor))


HANDLERS = [process_video, get_task, cancel_task, get_results]
