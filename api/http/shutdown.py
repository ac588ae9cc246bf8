"""What a request is told that the server's end cut off: 503, not a failure.

uvicorn cancels what still runs some seconds after SIGTERM. An answer that has begun ends there, and
its reader resumes elsewhere; one that has not is an honest "not here, try again".
"""

import asyncio
import logging

import msgspec
from litestar.enums import ScopeType
from litestar.middleware import ASGIMiddleware
from litestar.types import ASGIApp, Message, Receive, Scope, Send

from api.errors import PROBLEM_JSON, UnavailableError

_STOPPING = "The server is stopping. Send the request again: another one takes it."


class ShutdownMiddleware(ASGIMiddleware):
    """Answers a cancelled request that nothing was sent for yet."""

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
    told = {"content-type": PROBLEM_JSON, "content-length": str(len(body)), **problem.headers}
    await send(
        {
            "type": "http.response.start",
            "status": problem.status,
            "headers": [(name.lower().encode(), value.encode()) for name, value in told.items()],
        }
    )
    await send({"type": "http.response.body", "body": body, "more_body": False})


class CancelledErrorFilter(logging.Filter):
    """Leaves the tracebacks out that uvicorn writes for the requests it cancels at its end."""

    def filter(self, record: logging.LogRecord) -> bool:
        return record.exc_info is None or not isinstance(record.exc_info[1], asyncio.CancelledError)
