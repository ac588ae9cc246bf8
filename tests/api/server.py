"""A real server in this process: uvicorn in a thread, over the engines that it is given."""

import asyncio
import threading
import time
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, TypeVar

import httpx
import uvicorn

from api.app import create_app
from api.server.config import server_config
from api.server.limits import Limits
from api.services import Services
from api.settings import Settings
from console.client.http import tls_context
from tests.ports import free_ports

T = TypeVar("T")
READY_S = 30.0


class LiveApi:
    """One api process's worth of app, with its services within reach."""

    def __init__(self, settings: Settings, limits: Limits | None = None) -> None:
        (port,) = free_ports(1)
        self.settings = settings
        self.app = create_app(settings)
        self.url = f"http://127.0.0.1:{port}"
        self._server = uvicorn.Server(
            server_config(
                self.app,
                limits or Limits.of(settings),
                host="127.0.0.1",
                port=port,
                graceful_s=1,
            )
        )
        self._thread = threading.Thread(target=self._server.run, name="api-under-test")

    @property
    def services(self) -> Services:
        services: Services = self.app.state.services
        return services

    def start(self) -> None:
        """Serve; return once every part is ready."""
        self._thread.start()
        deadline_s = time.monotonic() + READY_S
        with httpx.Client(timeout=10, verify=tls_context()) as client:
            while time.monotonic() < deadline_s:
                try:
                    answer = client.get(f"{self.url}/health/ready")
                except httpx.TransportError:
                    answer = None
                if answer is not None and answer.status_code == 200:
                    return
                time.sleep(0.05)
        raise AssertionError(f"not ready: {answer and answer.text}")

    def stop(self) -> None:
        self._server.should_exit = True
        self._thread.join(20)
        assert not self._thread.is_alive()

    def admin(self) -> httpx.AsyncClient:
        return self.client(self.settings.admin_key)

    def client(self, key: str | None) -> httpx.AsyncClient:
        headers = {} if key is None else {"Authorization": f"Bearer {key}"}
        return httpx.AsyncClient(
            base_url=self.url, headers=headers, timeout=20, verify=tls_context()
        )


class ProjectClient(httpx.AsyncClient):
    """A client with a key of a project, whose id is `project`."""

    def __init__(self, api: LiveApi, project: str, key: str) -> None:
        super().__init__(
            base_url=api.url,
            headers={"Authorization": f"Bearer {key}"},
            timeout=20,
            verify=tls_context(),
        )
        self.project = project


Fresh = Callable[..., Coroutine[Any, Any, LiveApi]]
"""Starts another server, with these settings changed."""

NewKey = Callable[[], Coroutine[Any, Any, tuple[str, str]]]
"""Makes a project and gives its id and a key of it."""


async def until(ask: Callable[[], Awaitable[T]], *, within_s: float = 10.0) -> T:
    """Return the first truthy answer; fails when there is none in time."""
    deadline_s = time.monotonic() + within_s
    while True:
        found = await ask()
        if found:
            return found
        assert time.monotonic() < deadline_s, f"{found!r} for {within_s} s"
        await asyncio.sleep(0.02)
