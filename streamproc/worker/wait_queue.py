"""Waiting for one's turn in an event loop: `Turns` decides, futures wait."""

import asyncio
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from streamproc.worker.scheduler import Place, Turns


class LineClosedError(Exception):
    """The worker stops: who still waits for a first turn does not get one any more."""


@dataclass(eq=False, slots=True)
class Ticket:
    """One message's place in the line; `has_begun` once it has had a turn.

    `give_way` asks its slice to end early; any thread.
    """

    task: str
    project: str
    weight: float = 1.0
    give_way: Callable[[], None] = lambda: None
    has_begun: bool = False


class Line:
    """The worker's line. Use from one event loop; a ticket has to `leave`, whatever happens."""

    def __init__(self, turns: Turns[Ticket], kept: Callable[[], Mapping[str, int]] = dict) -> None:
        """`kept` counts the open sessions of each project that no slot uses at the moment."""
        self._turns, self._kept = turns, kept
        self._waiting: dict[Ticket, asyncio.Future[Place | None]] = {}
        self._closed = False

    @property
    def n_working(self) -> int:
        """How many slots are in use."""
        return self._turns.n_working

    @property
    def n_opening(self) -> int:
        """How many places of those who open are in use."""
        return self._turns.n_opening

    async def slot(self, ticket: Ticket) -> None:
        """Wait for a slot with a session that is warm. Raises `LineClosedError`."""
        self._turns.wants_slot(ticket, ticket.project, ticket.weight)
        await self._turn(ticket)

    async def opening(self, ticket: Ticket) -> None:
        """Wait to open a source; a slot is given back. Raises `LineClosedError`."""
        self._turns.wants_opening(ticket, ticket.project, ticket.weight)
        await self._turn(ticket)

    async def slot_after_opening(self, ticket: Ticket) -> None:
        """Wait for a slot, before all who have not opened their source."""
        self._turns.opened(ticket, ticket.project, ticket.weight)
        await self._turn(ticket)

    def leave(self, ticket: Ticket) -> None:
        """Give back what the ticket has."""
        self._turns.leaves(ticket)
        self.advance()

    def advance(self) -> None:
        """Let on who may go on. Sessions that were closed, and time, make room as well."""
        for grant in self._turns.grants(self._kept(), time.monotonic()):
            future = self._waiting.get(grant.ticket)
            if future is not None and not future.done():
                future.set_result(grant.place)
        for ticket in self._turns.yields():
            ticket.give_way()

    def excuse(self, is_excused: Callable[[str], bool]) -> None:
        """Let tasks that wait to open a source go on without a place: they will not open any."""
        for ticket, future in [*self._waiting.items()]:
            if not ticket.has_begun and not future.done() and is_excused(ticket.task):
                self._turns.leaves(ticket)
                future.set_result(None)

    def close(self) -> None:
        """Send away who waits for a first turn; who has begun is let through to the end."""
        self._closed = True
        for ticket, future in self._waiting.items():
            if not ticket.has_begun and not future.done():
                future.set_exception(LineClosedError())

    async def _turn(self, ticket: Ticket) -> None:
        if self._closed and not ticket.has_begun:
            raise LineClosedError
        future = self._waiting[ticket] = asyncio.get_running_loop().create_future()
        try:
            self.advance()
            await future
            ticket.has_begun = True
        finally:
            del self._waiting[ticket]
