"""Access log and request metrics: one line and one count per answered request.

They contain route, method, status and time, never ids or keys.
"""

import time

import structlog
from litestar.enums import ScopeType
from litestar.middleware import ASGIMiddleware
from litestar.types import ASGIApp, Message, Receive, Scope, Send

from api.metrics import Metrics

_log = structlog.get_logger("framewire.api.access")
_QUIET = ("/health/live", "/health/ready", "/metrics")


class ObserveRequests(ASGIMiddleware):
    """Middleware that counts and logs a request when its response head is sent.

    It does not wait for the body: a stream may stay open for long.
    """

    scopes = (ScopeType.HTTP,)

    async def handle(self, scope: Scope, receive: Receive, send: Send, next_app: ASGIApp) -> None:
        metrics: Metrics = scope["litestar_app"].state.services.metrics
        route = str(scope.get("path_template") or "-")
        method = str(scope.get("method"))
        started_s = time.perf_counter()

        async def observed(message: Message) -> None:
            if message["type"] == "http.response.start":
                took_s = time.perf_counter() - started_s
                metrics.requests.labels(method, route, message["status"]).inc()
                metrics.request_s.labels(method, route).observe(took_s)
                if route not in _QUIET:
                    _log.info(
                        "answered",
                        method=method,
                        route=route,
                        status=message["status"],
                        ms=round(took_s * 1000, 1),
                    )
            await send(message)

        with metrics.open_requests.track_inprogress():
            await next_app(scope, receive, observed)
