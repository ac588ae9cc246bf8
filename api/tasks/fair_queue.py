"""Fair queue of costly requests: round-robin over projects, with limits on those that wait."""

import asyncio
from collections import OrderedDict, deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from api.errors import UnavailableError


class FairQueue:
    """At most `n_at_once` concurrent turns; a turn is an `async with`. Use from one event loop.

    Projects are served round-robin. One project can have at most all turns but one: a slow source
    holds a turn for many seconds, so one turn remains for other projects. `what` (a plural) and
    `busy_code` are what a refusal says.
    """

    def __init__(
        self,
        n_at_once: int,
        n_waiting: int,
        n_waiting_per_project: int,
        *,
        what: str,
        busy_code: str,
    ) -> None:
        self._what = what
        self._busy_code = busy_code
        self._n_at_once = n_at_once
        self._n_waiting = n_waiting
        self._n_waiting_per_project = n_waiting_per_project
        self._own_limit = max(1, n_at_once - 1)
        self._working: dict[str, int] = {}
        self._waiting: OrderedDict[str, deque[asyncio.Future[None]]] = OrderedDict()

    @asynccontextmanager
    async def of(self, project: str) -> AsyncIterator[None]:
        """Wait for a turn of the project and hold it.

        Raises UnavailableError if too many requests wait, of this project or in total.
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
                f"This project waits for {len(own)} {self._what}: the limit.", code=self._busy_code
            )
        if sum(map(len, self._waiting.values())) >= self._n_waiting:
            raise UnavailableError(
                f"Too many {self._what} are asked for at once.", code=self._busy_code
            )
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
        """Assign free turns to waiting requests, round-robin over projects."""
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
