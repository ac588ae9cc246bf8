"""A task's log over HTTP: the stream, and tokens for clients that cannot send headers."""

import time
from typing import Protocol

from litestar import get, post
from litestar.params import FromPath
from litestar.response.base import ASGIResponse

from api.auth import Authenticator
from api.contract import paths
from api.contract.streams import StreamToken
from api.errors import BadRequestError, ForbiddenError, UnauthorizedError
from api.log import token as tokens
from api.log.negotiate import Ask, Empty, Hold, LogExtent, negotiate, read_ask
from api.log.reader import LogReader
from api.log.response import HEADERS, LogResponse
from api.requests import Requests
from api.routes.dependencies import AnyRequest
from api.routes.openapi import problems
from api.settings import Settings
from api.times import rfc3339

AHEAD_WAIT_S = 2.0
LONG_POLL_S = 25.0
MAX_TOKEN_TTL_S = 24 * 3600


class StreamParts(Protocol):
    """What these routes need of the process: `app.state.services` has it."""

    @property
    def settings(self) -> Settings: ...
    @property
    def authenticator(self) -> Authenticator: ...
    @property
    def requests(self) -> Requests: ...
    @property
    def log(self) -> LogReader: ...


@get(
    paths.TASKS + "/{task_id:str}/stream",
    operation_id="streamTask",
    media_type="text/event-stream",
    responses=problems(400, 403, 404, 409, 416),
)
async def stream(request: AnyRequest, task_id: FromPath[str]) -> ASGIResponse:
    """Read the task's log as server-sent events, from any byte offset.

    `Last-Event-ID` or `offset` is where to start, `live` is false or long-poll, `heartbeat` asks
    for a comment line after so many seconds of silence, `token` stands for the key.
    """
    parts: StreamParts = request.app.state.services
    query = request.query_params.dict()
    ask = read_ask(query, request.headers)
    project = _project(parts, request, query.get("token", []), task_id)
    stored = await parts.requests.get(project, task_id)
    return await answer(parts.log, ask, project, task_id, stored.partition)


@post(
    paths.TASKS + "/{task_id:str}/token",
    status_code=201,
    operation_id="createStreamToken",
    responses=problems(400, 403, 404),
)
async def stream_token(request: AnyRequest, task_id: FromPath[str]) -> StreamToken:
    """Make a short-lived token that opens the task's stream without headers.

    `ttl_s` is how many seconds it lives, an hour unless given.
    """
    parts: StreamParts = request.app.state.services
    project = parts.authenticator.authenticate(request).require_project()
    ttl_s = _ttl_s(request.query_params.getall("ttl_s", []))
    secret = parts.settings.token_secret
    if secret is None:
        raise ForbiddenError("Stream tokens are turned off on this server.", code="tokens_off")
    await parts.requests.get(project, task_id)
    expires_s = int(time.time()) + ttl_s
    token = tokens.sign(secret, project, task_id, expires_s)
    return StreamToken(
        token=token,
        expires_at=rfc3339(expires_s * 1000),
        stream_url=f"{paths.stream(task_id)}?token={token}",
    )


async def answer(log: LogReader, ask: Ask, project: str, task: str, partition: int) -> ASGIResponse:
    """Return the response to `ask`, after the one wait that it may need."""
    length, closed = await log.extent(project, task, partition)
    found = negotiate(ask, LogExtent(task, length, closed))
    if isinstance(found, Hold):
        timeout_s = AHEAD_WAIT_S if found.ahead else LONG_POLL_S
        length, closed = await log.reach(project, task, partition, found.length, timeout_s)
        found = negotiate(ask, LogExtent(task, length, closed), waited=True)
    if isinstance(found, Empty):
        return ASGIResponse(status_code=found.status, headers=HEADERS | found.headers)
    cursor = log.cursor(project, task, partition, found.start)
    return LogResponse(cursor, found, log.deadlines, heartbeat_s=ask.heartbeat_s)


def _project(parts: StreamParts, request: AnyRequest, token: list[str], task_id: str) -> str:
    """Return whose stream is asked for, by the token in the URL or else by the key."""
    if not token:
        return parts.authenticator.authenticate(request).require_project()
    secret = parts.settings.token_secret
    project = (
        tokens.verify(secret, token[0], task_id, time.time())
        if secret is not None and len(token) == 1
        else None
    )
    if project is None:
        raise UnauthorizedError("The token is not valid for this stream, or has expired.")
    return project


def _ttl_s(values: list[str]) -> int:
    if not values:
        return tokens.DEFAULT_TTL_S
    text = values[0]
    if len(values) > 1 or not (text.isascii() and text.isdecimal() and len(text) <= 6):
        raise BadRequestError("ttl_s must be given once, as whole seconds")
    if not 1 <= int(text) <= MAX_TOKEN_TTL_S:
        raise BadRequestError(f"ttl_s must be 1 to {MAX_TOKEN_TTL_S} seconds")
    return int(text)


HANDLERS = [stream, stream_token]
