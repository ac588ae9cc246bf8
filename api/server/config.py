"""uvicorn configuration, the same for an api process and for tests."""

from functools import partial
from typing import Any

import uvicorn
from litestar import Litestar

from api.server.connections import Connections
from api.server.limits import Limits
from api.server.log_protocol import LogProtocol
from api.server.protocol import Sweep

KEEP_ALIVE_S = 5
BACKLOG = 2048
# The Content-Type of every response is correct, so browsers must not guess another one.
_EVERYWHERE = [("X-Content-Type-Options", "nosniff")]


def server_config(
    app: Litestar, limits: Limits, *, host: str, port: int, graceful_s: int
) -> uvicorn.Config:
    """Return the configuration; it also sets `app.state.connections`."""
    connections = Connections(limits)
    app.state.connections = connections
    protocol: Any = partial(LogProtocol, sweep=Sweep(connections))
    return uvicorn.Config(
        app,
        host=host,
        port=port,
        loop="uvloop",
        http=protocol,
        ws="none",
        access_log=False,
        log_config=None,
        server_header=False,
        proxy_headers=False,
        headers=_EVERYWHERE,
        backlog=BACKLOG,
        timeout_keep_alive=KEEP_ALIVE_S,
        timeout_graceful_shutdown=graceful_s,
    )
