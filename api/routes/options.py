"""What a path knows: the answer to OPTIONS that is no preflight."""

from collections import defaultdict
from collections.abc import Iterable, Sequence

from litestar import HttpMethod, Response, route
from litestar.handlers import HTTPRouteHandler
from litestar.types import ControllerRouterHandler


def options_handlers(handlers: Iterable[ControllerRouterHandler]) -> Sequence[HTTPRouteHandler]:
    """Return a handler of OPTIONS for each path of `handlers`.

    They have to be registered first: the framework makes one of its own together with a path's
    first handler, and that knows no method of the others.
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
