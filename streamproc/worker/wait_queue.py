"""asyncio wait queue for places: `Scheduler` decides, callers wait on futures."""

import asyncio
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from streamproc.worker.scheduler import Place, Scheduler


class LineClosedError(Exception):
    """The worker stops: tickets that still wait for their first turn get none."""


@dataclass(eq=False, slots=True)
class Ticket:
    """One message in the queue; `has_begun` is True once it has had a turn.

    `give_way` asks its slice to end early. Thread-safe.
    """

    task: str
    project: str
    weight: float = 1.0
    give_way: Callable[[], None] = lambda: None
    has_begun: bool = False


class Line:
    """The worker's wait queue. Use from one event loop; each ticket must `leave` in every case."""

    def __init__(
        self, turns: Scheduler[Ticket], kept: Callable[[], Mapping[str, int]] = dict
    ) -> None:
        """`kept` counts each project's open sessions that no slot uses at the moment."""
        self._turns, self._kept = turns, kept
        self._waiting: dict[Ticket, asyncio.Future[Place | None]] = {}
        self._closed = False

    @property
    def n_working(self) -> int:
        """Number of slots in use."""
        return self._turns.n_working

    @property
    def n_opening(self) -> int:
        """Number of opening places in use."""
        return self._turns.n_opening

    async def slot(self, ticket: Ticket) -> None:
        """Wait for a slot, with a warm session. Raises `LineClosedError`."""
        self._turns.wants_slot(ticket, ticket.project, ticket.weight)
        await self._turn(ticket)

    async def opening(self, ticket: Ticket) -> None:
        """Wait to open a source; releases a slot. Raises `LineClosedError`."""
        self._turns.wants_opening(ticket, ticket.project, ticket.weight)
        await self._turn(ticket)

    async def slot_after_opening(self, ticket: Ticket) -> None:
        """Wait for a slot, before all tickets that have not opened their source."""
        self._turns.opened(ticket, ticket.project, ticket.weight)
        await self._turn(ticket)

    def leave(self, ticket: Ticket) -> None:
        """Release the ticket's place."""
        self._turns.leaves(ticket)
        self.advance()

    def advance(self) -> None:
        """Wake the tickets that get a place now; closed sessions and time also free capacity."""
        for grant in self._turns.grants(self._kept(), time.monotonic()):
            future = self._waiting.get(grant.ticket)
            if future is not None and not future.done():
                future.set_result(grant.place)
        for ticket in self._turns.yields():
            ticket.give_way()

    def excuse(self, is_excused: Callable[[str], bool]) -> None:
        """Let waiting tasks continue without a place if `is_excused`: they will open no source."""
        for ticket, future in [*self._waiting.items()]:
            if not ticket.has_begun and not future.done() and is_excused(ticket.task):
                self._turns.leaves(ticket)
                future.set_result(None)

    def close(self) -> None:
        """Reject tickets that wait for their first turn; those that have begun may finish."""
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
