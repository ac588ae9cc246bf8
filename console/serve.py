"""The console in a browser: textual-serve runs one console per visitor and shows it as a page."""

import shlex
import sys

from textual_serve.server import Server

from console.client.endpoint import Endpoint
from console.local.roles import base_environ
from streamproc.contract import env


def serve_console(endpoint: Endpoint, *, host: str, port: int, theme: str) -> None:
    """Serve until interrupted. Each visitor's console speaks to `endpoint` with its key.

    The key reaches the consoles by their environment, never by an argument or the page.
    """
    import os  # noqa: PLC0415

    os.environ.update(base_environ(os.environ))
    os.environ[env.URL] = endpoint.url
    os.environ[env.KEY] = endpoint.key
    command = shlex.join([sys.executable, "-P", "-m", "console", "console", "--theme", theme])
    Server(command, host=host, port=port, title="framewire").serve()
