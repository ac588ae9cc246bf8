"""Web server of the console: textual-serve runs one console process per visitor (--serve).

Access to the page is access to the console, and any page in the same browser can send requests to
the port. So all paths are below a secret random token, Host and Origin must be the console's own
(this also prevents DNS rebinding), and the number of consoles is limited.
"""

import asyncio
import json
import logging
import os
import secrets
import shlex
import signal
import sys
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path
from urllib.parse import urlsplit

from aiohttp import web
from textual_serve.server import Server

from console.client.endpoint import Endpoint
from console.errors import ConsoleError
from console.stack.roles import base_environ
from streamproc.contract import env

MAX_VISITORS = 8
TOKEN_BYTES = 32
_PAGES = Path(__file__).with_name("web")
_LOOPBACK = ("127.0.0.1", "localhost", "[::1]")
_EVERYWHERE = ("0.0.0.0", "::", "")  # noqa: S104 - compared with, not bound

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class GuardedServer(Server):
    """Web server that requires the token, and Host and Origin of the console's own page."""

    def __init__(
        self,
        command: str,
        *,
        host: str,
        port: int,
        public_url: str | None = None,
        max_visitors: int = MAX_VISITORS,
        as_json: bool = False,
    ) -> None:
        """`public_url` is the URL for browsers. Without it, a wildcard host: `ConsoleError`."""
        if public_url is None and host in _EVERYWHERE:
            raise ConsoleError(f"--host {host} is no address for a browser: say which one by --url")
        shown = f"[{host}]" if ":" in host else host
        url = (public_url or f"http://{shown}:{port}").rstrip("/")
        super().__init__(
            command,
            host=host,
            port=port,
            title="framewire console",
            public_url=url,
            templates_path=_PAGES,
        )
        self.token = secrets.token_urlsafe(TOKEN_BYTES)
        self._origins = _origins(url)
        self._max_visitors = max_visitors
        self._n_visitors = 0
        self._as_json = as_json

    @property
    def page_url(self) -> str:
        """The URL of the console, with the token: it gives access to the console."""
        return f"{self.public_url}/{self.token}/"

    def initialize_logging(self) -> None:
        """Log warnings, without values of local variables, because those contain the token."""
        logging.basicConfig(level=logging.WARNING, format="%(message)s")

    async def on_startup(self, app: web.Application) -> None:
        """Say nothing, unlike textual-serve: the port is not open yet."""

    def serve(self, debug: bool = False) -> None:
        """Serve until SIGINT or SIGTERM; the URL is printed once it can be opened.

        Raises OSError if the port is taken.
        """
        self.debug = debug
        self.initialize_logging()
        loop = asyncio.new_event_loop()
        with suppress(NotImplementedError):  # Windows
            loop.add_signal_handler(signal.SIGINT, self.request_exit)
            loop.add_signal_handler(signal.SIGTERM, self.request_exit)
        web.run_app(
            self._make_app(),
            host=self.host,
            port=self.port,
            handle_signals=False,
            loop=loop,
            print=lambda *_: self._print_url(),  # called when the port is open
        )

    async def handle_websocket(self, request: web.Request) -> web.WebSocketResponse:
        """Start a console for a visitor; 503 if `max_visitors` consoles are open."""
        if self._n_visitors >= self._max_visitors:
            raise web.HTTPServiceUnavailable(text=f"{self._max_visitors} consoles are open already")
        self._n_visitors += 1
        try:
            return await super().handle_websocket(request)
        finally:
            self._n_visitors -= 1

    def _print_url(self) -> None:
        if self._as_json:
            line = json.dumps({"url": self.page_url})
        else:
            line = f"Console URL (anyone with this URL has access):\n{self.page_url}"
        sys.stdout.write(f"{line}\n")
        sys.stdout.flush()

    async def _make_app(self) -> web.Application:
        guarded = web.Application(middlewares=[self._guard])
        guarded.add_subapp(f"/{self.token}", await super()._make_app())
        return guarded

    @web.middleware
    async def _guard(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        origin = request.headers.get("Origin")
        hosts = {urlsplit(allowed).netloc for allowed in self._origins}
        if request.headers.getall("Host", []) != [request.host] or request.host not in hosts:
            raise web.HTTPForbidden(headers=self._headers())
        if origin is not None and origin not in self._origins:
            raise web.HTTPForbidden(headers=self._headers())
        try:
            response = await handler(request)
        except web.HTTPException as exc:
            exc.headers.update(self._headers())
            raise
        if not response.prepared:
            response.headers.update(self._headers())
        return response

    def _headers(self) -> dict[str, str]:
        """Security headers: no referrer to other servers, no framing, no caching."""
        sockets = " ".join(f"ws{origin.removeprefix('http')}" for origin in sorted(self._origins))
        return {
            "Content-Security-Policy": (
                "default-src 'self' 'unsafe-inline' data:; frame-ancestors 'none'; "
                f"connect-src 'self' {sockets}"
            ),
            "Referrer-Policy": "no-referrer",
            "Cache-Control": "no-store",
            "X-Content-Type-Options": "nosniff",
        }


def serve_console(
    endpoint: Endpoint,
    *,
    host: str,
    port: int,
    theme: str | None,
    public_url: str | None = None,
    readonly: bool = False,
    as_json: bool = False,
) -> None:
    """Serve until interrupted. Each visitor's console uses `endpoint` with its key.

    The key is passed to the consoles in their environment, never as an argument or in the page.
    """
    os.environ.update(base_environ(os.environ))
    os.environ.pop(env.CONTEXT, None)
    os.environ[env.URL] = endpoint.url
    os.environ[env.KEY] = endpoint.key
    command = shlex.join(console_command(theme, readonly=readonly))
    GuardedServer(command, host=host, port=port, public_url=public_url, as_json=as_json).serve()


def console_command(theme: str | None, *, readonly: bool) -> list[str]:
    """Return the command of one visitor's console."""
    command = [sys.executable, "-P", "-m", "console", "console"]
    options = [] if theme is None else ["--theme", theme]
    return [*command, *options, *(["--readonly"] if readonly else [])]


def _origins(url: str) -> frozenset[str]:
    """Return the URL's origin; for a loopback address, one origin per loopback name.

    Raises `ConsoleError` for a URL with another scheme or a path.
    """
    parts = urlsplit(url)
    if parts.scheme not in {"http", "https"} or not parts.hostname or parts.path:
        raise ConsoleError(f"{url} is no URL of a host: https://console.example.com")
    name = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    names = _LOOPBACK if name in _LOOPBACK else (name,)
    port = "" if parts.port is None else f":{parts.port}"
    if parts.port == {"http": 80, "https": 443}[parts.scheme]:
        port = ""
    return frozenset(f"{parts.scheme}://{one}{port}" for one in names)
