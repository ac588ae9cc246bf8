"""OPTIONS handlers: the allowed methods of a path, for requests other than CORS preflights."""

from collections import defaultdict
from collections.abc import Iterable, Sequence

from litestar import HttpMethod, Response, route
from litestar.handlers import HTTPRouteHandler
from litestar.types import ControllerRouterHandler


def options_handlers(handlers: Iterable[ControllerRouterHandler]) -> Sequence[HTTPRouteHandler]:
    """Return an OPTIONS handler for each path of `handlers`.

    They have to be registered first: otherwise the framework creates its own OPTIONS handler with
    a path's first handler, and that one lists only the first handler's methods.
    """
    methods: dict[str, set[str]] = defaultdict(set)
    for handler in handlers:
        if isinstance(handler, HTTPRouteHandler):
            for path in handler.paths:
                methods[path].update(handler.http_methods)
    return [_options(path, known) for path, known in methods.items()]


def _options(path: str, methods: set[str]) -> HTTPRouteHandler:
    allow = ", ".join(sorted({*methods, HttpMethod.OPTIONS.value}))

    @route(path, http_method=HttpMethod.OPTIONS, status_code=204, include_in_schema=False)
    async def options() -> Response[None]:
        return Response(None, headers={"Allow": allow})

    return options
