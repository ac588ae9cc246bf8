"""Application factory: `create_app` connects routes, error handlers and the process's services."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

from litestar import Litestar, Response
from litestar.config.cors import CORSConfig
from litestar.exceptions import HTTPException
from litestar.types import ControllerRouterHandler

from api.audit import AuditRequests
from api.contract.version import VERSION
from api.errors import ProblemError, TooLargeError, problem_response
from api.http.access_log import ObserveRequests
from api.http.shutdown import ShutdownMiddleware
from api.routes import (
    admin,
    audit,
    frames,
    model_use,
    models,
    sql,
    stream,
    system,
    task_list,
    tasks,
    tenants,
    tracks,
)
from api.routes.dependencies import DEPENDENCIES, AnyRequest
from api.routes.openapi import openapi_config
from api.routes.options import options_handlers
from api.server.metrics import ConnectionCollector
from api.services import Services
from api.settings import Settings
from api.tasks.previews import Frames

HANDLERS: Sequence[ControllerRouterHandler] = (
    *tasks.HANDLERS,
    *task_list.HANDLERS,
    *stream.HANDLERS,
    *tracks.HANDLERS,
    *frames.HANDLERS,
    *models.HANDLERS,
    *model_use.HANDLERS,
    *system.HANDLERS,
    *admin.HANDLERS,
    *audit.HANDLERS,
    *tenants.HANDLERS,
    *sql.HANDLERS,
)


CORS_MAX_AGE_S = 3600
_EXPOSED = (
    "Stream-First-Offset",
    "Stream-Start-Offset",
    "Stream-Next-Offset",
    "Stream-Closed",
    "Retry-After",
    "ETag",
    "Frame-Width",
    "Frame-Height",
    "Frame-Index",
    "Frame-Captured-At",
    "RateLimit-Limit",
    "RateLimit-Remaining",
    "RateLimit-Reset",
    "RateLimit-Policy",
)


def create_app(settings: Settings) -> Litestar:
    """Return the application; its services start and stop with it, on the server's event loop."""

    @asynccontextmanager
    async def lifespan(app: Litestar) -> AsyncIterator[None]:
        services = Services.create(settings)
        app.state.services = services
        if (connections := app.state.get("connections")) is not None:  # set by server_config
            services.metrics.registry.register(ConnectionCollector(connections))
        app.state.frames = Frames(services.objects, services.rows, services.secrets)
        try:
            await services.start()
            # Check all parts now, so that faults are in the log before the first readiness probe.
            first_look = asyncio.create_task(services.parts())
            try:
                yield
            finally:
                first_look.cancel()
        finally:
            await app.state.frames.close()
            await services.stop()

    def answer(request: AnyRequest, error: Exception) -> Response[bytes]:
        if isinstance(error, HTTPException) and error.status_code == 413:
            error = _too_large(settings)
        return problem_response(request, error)

    return Litestar(
        route_handlers=[*options_handlers(HANDLERS), *HANDLERS],
        dependencies=DEPENDENCIES,
        exception_handlers={Exception: answer, HTTPException: answer, ProblemError: answer},
        middleware=[ObserveRequests(), AuditRequests(), ShutdownMiddleware()],
        lifespan=[lifespan],
        cors_config=_cors(settings.cors_origins) if settings.cors_origins else None,
        openapi_config=openapi_config(VERSION),
        request_max_body_size=settings.max_body_bytes,
        logging_config=None,
        debug=False,
    )


def _cors(origins: Sequence[str]) -> CORSConfig:
    """Return the CORS configuration that lets pages of `origins` call the api.

    Keys are sent in headers, never in cookies. Libraries add headers of their own, and no header
    gives a page more rights here: so a preflight allows every header that it asks for.
    """
    return CORSConfig(
        allow_origins=[*origins],
        allow_methods=["GET", "HEAD", "POST", "PATCH", "DELETE"],
        allow_headers=["*"],
        expose_headers=[*_EXPOSED],
        allow_credentials=False,
        max_age=CORS_MAX_AGE_S,
    )


def _too_large(settings: Settings) -> TooLargeError:
    limit = settings.max_body_bytes
    extra: dict[str, Any] = {"limit_bytes": limit}
    return TooLargeError(f"The body is larger than {limit} bytes.", extra=extra)
