"""Api session of the console's tabs: calls that also update the connection state."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

from console.client.async_client import AsyncClient, FramePicture, LatestPicture
from console.client.calls import Call
from console.client.endpoint import Endpoint
from console.client.log_stream import Following, Piece
from console.errors import ApiProblem, ConsoleError, ReadOnlyError, UnreachableError
from console.tui.clock import Clock
from console.tui.view_models.connection import ConnectionState
from streamproc.contract.framing import Event

T = TypeVar("T")
_WATCH_S = 1.0


class ApiSession:
    """Client of one api, shared by all tabs; `on_link` receives each change of the connection."""

    def __init__(
        self,
        endpoint: Endpoint,
        on_link: Callable[[ConnectionState], object],
        clock: Clock,
        *,
        readonly: bool = False,
    ) -> None:
        """`readonly`: calls that change something are refused, and never sent."""
        self.endpoint = endpoint
        self.clock = clock
        self.readonly = readonly
        self.link = ConnectionState()
        self._tasks: set[asyncio.Task[Any]] = set()
        self._is_closed = False
        self._on_link = on_link
        self._client = AsyncClient(endpoint.url, endpoint.key)

    async def close(self) -> None:
        """Cancel running requests, then close the client; later requests are cancelled at once.

        A connection that is made after the client was closed would stay open.
        """
        self._is_closed = True
        tasks = self._tasks - {asyncio.current_task()}
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._client.__aexit__(None, None, None)

    async def ask(self, call: Call[T]) -> T:
        """Send a call; raises `ConsoleError`. Reports a slow api while it waits."""
        if self.readonly and call.method != "GET":
            raise ReadOnlyError("this console is read-only (--readonly): nothing was sent")
        with self._under_way():
            return await self._ask(call)

    async def read_log(
        self, task_id: str, start: int | str, at_most_bytes: int
    ) -> tuple[Event, ...]:
        """See `AsyncClient.read_log`."""
        with self._under_way():
            return await self._client.read_log(task_id, start, at_most_bytes)

    async def read_frame(self, task_id: str, index: int, width_px: int) -> FramePicture:
        """See `AsyncClient.read_frame`."""
        with self._under_way():
            return await self._client.read_frame(task_id, index, width_px)

    async def read_latest(self, task_id: str, known: str | None) -> LatestPicture | None:
        """See `AsyncClient.read_latest`."""
        with self._under_way():
            return await self._client.read_latest(task_id, known)

    async def follow(
        self, following: Following, on_cut: Callable[[float], None]
    ) -> AsyncIterator[Piece]:
        """See `AsyncClient.follow`."""
        with self._under_way():
            async for piece in self._client.follow(following, on_cut=on_cut):
                yield piece

    async def _ask(self, call: Call[T]) -> T:
        started_s = self.clock.monotonic_s()
        watch = asyncio.create_task(self._watch(started_s))
        try:
            answer = await self._client.send(call)
        except ConsoleError as exc:
            if _concerns_link(exc):
                self._tell(self.link.failed(exc))
            raise
        finally:
            watch.cancel()
        self._tell(self.link.answered(self.clock.monotonic_s() - started_s))
        return answer

    @contextmanager
    def _under_way(self) -> Iterator[None]:
        """Register the current asyncio task as running, so that `close` can cancel it.

        Raises `CancelledError` once the session is closed.
        """
        if self._is_closed:
            raise asyncio.CancelledError
        task = asyncio.current_task()
        is_new = task is not None and task not in self._tasks
        if task is not None and is_new:
            self._tasks.add(task)
        try:
            yield
        finally:
            if task is not None and is_new:
                self._tasks.discard(task)

    async def _watch(self, started_s: float) -> None:
        while True:
            await asyncio.sleep(_WATCH_S)
            self._tell(self.link.waiting(self.clock.monotonic_s() - started_s))

    def _tell(self, link: ConnectionState) -> None:
        if link != self.link:
            self.link = link
            self._on_link(link)


def _concerns_link(error: ConsoleError) -> bool:
    """Whether the error is about the connection, not about the request."""
    if isinstance(error, ApiProblem):
        return error.status in {401, 403} or error.status >= 500
    return isinstance(error, UnreachableError)
