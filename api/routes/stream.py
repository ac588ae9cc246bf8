"""Stream routes: a task's log as server-sent events, and tokens for clients without headers."""

import time
from typing import Protocol

from litestar import HttpMethod, get, post, route
from litestar.params import FromPath
from litestar.response.base import ASGIResponse

from api.auth import Authenticator
from api.contract import paths
from api.contract.tasks import StreamToken
from api.errors import (
    BadRequestError,
    ForbiddenError,
    UnauthorizedError,
    UnavailableError,
)
from api.log import stream_token as tokens
from api.log.archive_reader import LogRef
from api.log.key_expiry import KeyExpiry, KeyWatch
from api.log.negotiation import Ask, Body, Empty, Hold, LogExtent, negotiate, read_ask
from api.log.notifier import StoppingError
from api.log.reader import LogReader
from api.log.sse_response import BARE_HEADERS, HEADERS, LogResponse
from api.quotas import Quotas
from api.routes.dependencies import NO_STORE, AnyRequest
from api.routes.openapi import problems
from api.scopes import READ
from api.settings import Settings
from api.tasks.request_store import Requests
from streamproc.contract.timestamps import rfc3339

AHEAD_WAIT_S = 2.0
LONG_POLL_S = 25.0
MAX_TOKEN_TTL_S = 24 * 3600


class StreamParts(Protocol):
    """The services that these routes use; `app.state.services` has them."""

    @property
    def settings(self) -> Settings: ...
    @property
    def authenticator(self) -> Authenticator: ...
    @property
    def requests(self) -> Requests: ...
    @property
    def log(self) -> LogReader: ...
    @property
    def key_expiry(self) -> KeyExpiry: ...
    @property
    def quotas(self) -> Quotas: ...


@get(
    paths.TASKS + "/{task_id:str}/stream",
    operation_id="streamTask",
    media_type="text/event-stream",
    responses=problems(400, 403, 404, 409, 410, 416, 429),
)
async def stream(request: AnyRequest, task_id: FromPath[str]) -> ASGIResponse:
    """Read the task's log as server-sent events, from any byte offset.

    `Last-Event-ID` or `offset` is the start, `offset=end` the log's end, and `from` the first frame
    of a time; bytes that have expired give 410 with the first byte that is kept. `live` is true
    (default), false or long-poll; `heartbeat` requests a comment line after that many seconds of
    silence; `token` replaces the key.
    """
    parts: StreamParts = request.app.state.services
    ask, ref, key = await _asked(parts, request, task_id)
    leave = parts.quotas.enter_stream(ref.project)
    try:
        found = await answer(parts, ask, ref, key)
    except BaseException:
        leave()
        raise
    if isinstance(found, LogResponse):
        found.on_end = leave
    else:
        leave()
    return found


@route(
    paths.TASKS + "/{task_id:str}/stream",
    http_method=HttpMethod.HEAD,
    operation_id="headStream",
    media_type="text/event-stream",
    status_code=200,
    responses=problems(400, 403, 404, 409, 410, 416),
)
async def stream_head(request: AnyRequest, task_id: FromPath[str]) -> ASGIResponse:
    """Return the headers of a GET, with the length of the log and whether it is closed.

    It never waits: where a GET would wait, the response has the current state.
    """
    parts: StreamParts = request.app.state.services
    ask, ref, _ = await _asked(parts, request, task_id)
    length, closed = await parts.log.extent(*ref)
    ask = await starting(parts.log, ask, ref, length)
    await parts.log.cursor(*ref, ask.offset or 0).prepare()
    return head_answer(ask, LogExtent(task_id, length, closed))


@post(
    paths.TASKS + "/{task_id:str}/token",
    status_code=201,
    operation_id="createStreamToken",
    responses=problems(400, 403, 404),
    response_headers=NO_STORE,
)
async def stream_token(request: AnyRequest, task_id: FromPath[str]) -> StreamToken:
    """Create a short-lived token that gives access to the task's stream without headers.

    `ttl_s` is its lifetime in seconds; the default is an hour.
    """
    parts: StreamParts = request.app.state.services
    principal = parts.authenticator.authenticate(request)
    project, key = principal.require_project(READ), principal.key
    ttl_s = _ttl_s(request.query_params.getall("ttl_s", []))
    secret = parts.settings.token_secret
    if secret is None or key is None:
        raise ForbiddenError("Stream tokens are turned off on this server.", code="tokens_off")
    await parts.requests.get(project, task_id)
    expires_s = int(time.time()) + ttl_s
    token = tokens.sign(secret, project, task_id, expires_s, key)
    return StreamToken(
        token=token,
        expires_at=rfc3339(expires_s * 1000),
        stream_url=f"{paths.stream(task_id)}?token={token}",
    )


async def answer(parts: StreamParts, ask: Ask, ref: LogRef, key: str | None = None) -> ASGIResponse:
    """Return the response to `ask`, after at most one wait.

    The stream ends when `key`, the id of the key that opens it, is not valid any more.
    """
    log = parts.log
    length, closed = await log.extent(*ref)
    ask = await starting(log, ask, ref, length)
    found = negotiate(ask, LogExtent(ref.task, length, closed))
    if isinstance(found, Hold):
        timeout_s = AHEAD_WAIT_S if found.ahead else LONG_POLL_S
        try:
            length, closed = await log.reach(*ref, found.length, timeout_s)
        except StoppingError as exc:
            raise UnavailableError("The server stops.", code="stopping") from exc
        if key is not None and not parts.authenticator.is_alive(key):
            raise UnauthorizedError
        found = negotiate(ask, LogExtent(ref.task, length, closed), waited=True)
    if isinstance(found, Empty):
        return ASGIResponse(status_code=found.status, headers=BARE_HEADERS | found.headers)
    cursor = log.cursor(*ref, found.start)
    await cursor.prepare(reads=True)
    key_watch = None if key is None else KeyWatch(parts.key_expiry, key)
    return LogResponse(
        cursor, found, log.deadlines, heartbeat_s=ask.heartbeat_s, key_watch=key_watch
    )


async def starting(log: LogReader, ask: Ask, ref: LogRef, length: int) -> Ask:
    """Return the request with the offset that its start, if it is no offset, has in the log."""
    if ask.at_end:
        return ask._replace(offset=length, at_end=False)
    if ask.from_ms is not None:
        return ask._replace(offset=await log.offset_at(*ref, ask.from_ms), from_ms=None)
    return ask


def head_answer(ask: Ask, extent: LogExtent) -> ASGIResponse:
    """Return the response of `answer` without its body and without waiting."""
    found = negotiate(ask, extent, waited=True)
    headers = BARE_HEADERS if isinstance(found, Empty) else HEADERS
    headers = headers | {"Stream-Next-Offset": str(extent.length)} | found.headers
    if isinstance(found, Body) and found.end is not None and ask.heartbeat_s is None:
        headers["Content-Length"] = str(found.end - found.start)
    return HeadResponse(status_code=found.status, headers=headers, is_head_response=True)


class HeadResponse(ASGIResponse):
    """A HEAD response: its Content-Length is that of the omitted body."""

    _should_set_content_length = False


async def _asked(
    parts: StreamParts, request: AnyRequest, task_id: str
) -> tuple[Ask, LogRef, str | None]:
    """Authenticate the caller; return the parsed request, the log, and the key's id."""
    query = request.query_params.dict()
    # Repeated header fields are equivalent to one field with commas.
    names = {name.lower() for name in request.headers}
    headers = {name: ", ".join(request.headers.getall(name)) for name in names}
    ask = read_ask(query, headers)
    project, key = await _reader(parts, request, query.get("token", []), task_id)
    stored = await parts.requests.get(project, task_id)
    return ask, LogRef(project, task_id, stored.partition), key


async def _reader(
    parts: StreamParts, request: AnyRequest, token: list[str], task_id: str
) -> tuple[str, str | None]:
    """Return the project and the key's id, from the token in the URL or else from the key.

    An empty token counts as none.
    """
    token = [text for text in token if text]
    if not token:
        principal = parts.authenticator.authenticate(request)
        return principal.require_project(READ), principal.key
    secret = parts.settings.token_secret
    try:
        grant = (
            tokens.verify(secret, token[0], task_id, time.time())
            if secret is not None and len(token) == 1
            else None
        )
    except tokens.TokenExpiredError as exc:
        raise UnauthorizedError("The token has expired: ask for another one.") from exc
    if grant is None or (
        grant.key is not None and not await parts.authenticator.is_alive_soon(grant.key)
    ):
        raise UnauthorizedError(
            "The token is not valid for this stream, or its key may not be used."
        )
    return grant.project, grant.key


def _ttl_s(values: list[str]) -> int:
    if not values:
        return tokens.DEFAULT_TTL_S
    text = values[0]
    if len(values) > 1 or not (text.isascii() and text.isdecimal() and len(text) <= 6):
        raise BadRequestError("ttl_s must be given once, as whole seconds")
    if not 1 <= int(text) <= MAX_TOKEN_TTL_S:
        raise BadRequestError(f"ttl_s must be 1 to {MAX_TOKEN_TTL_S} seconds")
    return int(text)


HANDLERS = [stream, stream_head, stream_token]
