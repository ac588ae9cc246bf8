"""Whose frame is made next: projects take turns, and none fills the queue for the others."""

import asyncio
from collections import OrderedDict, deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from api.errors import UnavailableError

_BUSY = "frames_busy"


class FrameTurns:
    """At most `n_at_once` turns; each ends with its `async with`. Use from one event loop.

    Projects are served one after another, and one has all turns but one at most: a slow source
    holds a turn for many seconds, and the last one is for whoever else comes.
    """

    def __init__(self, n_at_once: int, n_waiting: int, n_waiting_per_project: int) -> None:
        self._n_at_once = n_at_once
        self._n_waiting = n_waiting
        self._n_waiting_per_project = n_waiting_per_project
        self._own_limit = max(1, n_at_once - 1)
        self._working: dict[str, int] = {}
        self._waiting: OrderedDict[str, deque[asyncio.Future[None]]] = OrderedDict()

    @asynccontextmanager
    async def of(self, project: str) -> AsyncIterator[None]:
        """Wait for a turn of the project and hold it.

        Raises UnavailableError when too many wait: of this project, or of all.
        """
        await self._taken(project)
        try:
            yield
        finally:
            self._end(project)
            self._wake()

    async def _taken(self, project: str) -> None:
        own = self._waiting.get(project, ())
        if len(own) >= self._n_waiting_per_project:
            raise UnavailableError(
                f"This project waits for {len(own)} frames: the limit.", code=_BUSY
            )
        if sum(map(len, self._waiting.values())) >= self._n_waiting:
            raise UnavailableError("Too many frames are asked for at once.", code=_BUSY)
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(project, deque()).append(turn)
        self._wake()
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                self._end(project)
            else:
                self._leave(project, turn)
            self._wake()
            raise

    def _wake(self) -> None:
        """Give the free turns away, one project after another."""
        while (project := self._next()) is not None:
            turns = self._waiting.pop(project)
            turn = turns.popleft()
            if turns:
                self._waiting[project] = turns
            self._working[project] = self._working.get(project, 0) + 1
            turn.set_result(None)

    def _next(self) -> str | None:
        if sum(self._working.values()) >= self._n_at_once:
            return None
        for project in self._waiting:
            if self._working.get(project, 0) < self._own_limit:
                return project
        return None

    def _end(self, project: str) -> None:
        self._working[project] -= 1
        if not self._working[project]:
            del self._working[project]

    def _leave(self, project: str, turn: asyncio.Future[None]) -> None:
        turns = self._waiting.get(project)
        if turns is not None and turn in turns:
            turns.remove(turn)
            if not turns:
                del self._waiting[project]
