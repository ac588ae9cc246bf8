"""Graceful shutdown: a request that is cancelled by the server's stop gets 503, not 500.

uvicorn cancels running requests some seconds after SIGTERM. A response that has begun ends there,
and its reader resumes at another server. One that has not begun becomes 503: send it again.
"""

import asyncio
import logging

import msgspec
from litestar.enums import ScopeType
from litestar.middleware import ASGIMiddleware
from litestar.types import ASGIApp, Message, Receive, Scope, Send

from api.errors import PROBLEM_JSON, UnavailableError

_STOPPING = "The server is stopping. Send the request again: another server will handle it."


class ShutdownMiddleware(ASGIMiddleware):
    """Middleware that answers a cancelled request with 503 if no response has begun."""

    scopes = (ScopeType.HTTP,)

    async def handle(self, scope: Scope, receive: Receive, send: Send, next_app: ASGIApp) -> None:
        begun = False

        async def watched(message: Message) -> None:
            nonlocal begun
            begun = True
            await send(message)

        try:
            await next_app(scope, receive, watched)
        except asyncio.CancelledError:
            if begun:
                raise
            await _refuse(send)


async def _refuse(send: Send) -> None:
    problem = UnavailableError(_STOPPING)
    body = msgspec.json.encode(problem.body())
    fields = {"content-type": PROBLEM_JSON, "content-length": str(len(body)), **problem.headers}
    await send(
        {
            "type": "http.response.start",
            "status": problem.status,
            "headers": [(name.lower().encode(), value.encode()) for name, value in fields.items()],
        }
    )
    await send({"type": "http.response.body", "body": body, "more_body": False})


class CancelledErrorFilter(logging.Filter):
    """Log filter that drops uvicorn's tracebacks for requests cancelled at shutdown."""

    def filter(self, record: logging.LogRecord) -> bool:
        return record.exc_info is None or not isinstance(record.exc_info[1], asyncio.CancelledError)
