"""Weighted fair scheduler: decides who may open a source, and who gets a slot. Sans-IO.

    a cold task  ─► waits ─► opens its source ─► ready ─┐
    a warm task  ─► waits ──────────────────────────────┴─► slot ─► left

A source may take long to open, or never open, so this is done outside of the slots: slow origins,
however many, do not keep a slot from a task that has work. Openings have their own places, and one
project can use only a part of them.

Projects share the slots by weight, whatever the order of waiting: a slot goes to the project with
the fewest slots for its weight; if several are equal, to the one that has used the least so far. A
project without any slot does not wait for the end of a slice: a slice of the project with the most
slots is asked to end at once (`yields`). Within a project, ready tickets go first: their decoder is
open already, and their claim is written.

An open session is a decoder with its memory, so a worker keeps a limited number of them. A project
that has used its share opens no more, except one every `PATIENCE_S`. Otherwise more tasks than
sessions would evict each other with every slice, and restart their videos again and again.

A ticket is one message in progress. After every method that changes something, call `grants` and
`yields`.
"""

from collections import OrderedDict
from collections.abc import Hashable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Generic, NamedTuple, TypeVar

T = TypeVar("T", bound=Hashable)
PATIENCE_S = 10.0
MIN_WEIGHT = 0.001


class Place(Enum):
    """What a ticket is allowed to do."""

    OPENING = "opening"
    SLOT = "slot"


class Grant(NamedTuple, Generic[T]):
    """A waiting ticket, and the place that it gets now."""

    ticket: T
    place: Place


@dataclass(slots=True)
class _Project(Generic[T]):
    """A project's tickets; the clocks count its past slots and openings, divided by its weight."""

    name: str
    weight: float
    clock: float = 0.0
    opening_clock: float = 0.0
    cold: OrderedDict[T, None] = field(default_factory=OrderedDict)
    opening: set[T] = field(default_factory=set)
    ready: OrderedDict[T, None] = field(default_factory=OrderedDict)
    warm: OrderedDict[T, None] = field(default_factory=OrderedDict)
    working: OrderedDict[T, None] = field(default_factory=OrderedDict)
    asked: set[T] = field(default_factory=set)
    held_back_s: float | None = None

    @property
    def waits_for_slot(self) -> bool:
        return bool(self.ready or self.warm)

    @property
    def n_opening(self) -> int:
        """Number of tickets that open their source, or have it open and wait for a slot."""
        return len(self.opening) + len(self.ready)

    @property
    def load(self) -> float:
        return len(self.working) / self.weight

    @property
    def is_empty(self) -> bool:
        return not (self.cold or self.opening or self.ready or self.warm or self.working)

    def leave(self, ticket: T) -> None:
        for line in (self.cold, self.ready, self.warm, self.working):
            line.pop(ticket, None)
        self.opening.discard(ticket)
        self.asked.discard(ticket)


class Scheduler(Generic[T]):
    """The places (openings and slots) of one worker."""

    def __init__(self, slots: int, openings: int, project_openings: int, sessions: float) -> None:
        """`project_openings`: maximum of the `openings` for one project.

        `sessions`: maximum number of open tasks: in a slot, on their way there, or kept.
        """
        self._slots, self._openings, self._per_project = slots, openings, project_openings
        self._sessions = sessions
        self._projects: dict[str, _Project[T]] = {}
        self._owner: dict[T, _Project[T]] = {}

    @property
    def n_working(self) -> int:
        """Number of tickets in a slot."""
        return sum(len(project.working) for project in self._projects.values())

    @property
    def n_opening(self) -> int:
        """Number of tickets that open their source, or have it open and wait for a slot."""
        return sum(project.n_opening for project in self._projects.values())

    def wants_slot(self, ticket: T, project: str, weight: float = 1.0) -> None:
        """Queue a ticket with a warm session for a slot. If it is in a slot, it leaves it."""
        self._moved(ticket, project, weight).warm[ticket] = None

    def wants_opening(self, ticket: T, project: str, weight: float = 1.0) -> None:
        """Queue a ticket to open its source. If it is in a slot, it leaves it."""
        self._moved(ticket, project, weight).cold[ticket] = None

    def opened(self, ticket: T, project: str, weight: float = 1.0) -> None:
        """Queue a ticket that has opened its source for a slot."""
        self._moved(ticket, project, weight).ready[ticket] = None

    def leaves(self, ticket: T) -> None:
        """Remove a ticket, wherever it is; an unknown ticket is ignored."""
        owner = self._owner.pop(ticket, None)
        if owner is not None:
            owner.leave(ticket)

    def grants(self, kept: Mapping[str, int], now_s: float) -> list[Grant[T]]:
        """Return the tickets that get a place now, each with its place.

        `kept`: number of open sessions of each project that are in no slot: those of tickets that
        wait for a slot with a warm session, and of tasks whose message is still to come.
        """
        for name, project in [*self._projects.items()]:
            if project.is_empty and not kept.get(name):
                del self._projects[name]
        granted: list[Grant[T]] = []
        while self.n_working < self._slots and (next_one := self._next_for_slot()):
            ticket, _ = (next_one.ready or next_one.warm).popitem(last=False)
            next_one.working[ticket] = None
            next_one.clock += 1 / next_one.weight
            granted.append(Grant(ticket, Place.SLOT))
        while self.n_opening < self._openings and (next_one := self._next_to_open(kept, now_s)):
            ticket, _ = next_one.cold.popitem(last=False)
            next_one.opening.add(ticket)
            next_one.opening_clock += 1 / next_one.weight
            granted.append(Grant(ticket, Place.OPENING))
        return granted

    def yields(self) -> list[T]:
        """Return the tickets whose slices should end early, each once, for projects without a slot.

        No project is asked to give up its last slot.
        """
        projects = self._projects.values()
        n_starved = sum(1 for p in projects if p.waits_for_slot and not p.working)
        n_starved -= sum(len(project.asked) for project in projects)
        asked: list[T] = []
        while len(asked) < n_starved:
            able = [p for p in projects if len(p.working) - len(p.asked) > 1]
            if not able:
                break
            most = max(able, key=lambda p: (len(p.working) - len(p.asked)) / p.weight)
            ticket = next(ticket for ticket in most.working if ticket not in most.asked)
            most.asked.add(ticket)
            asked.append(ticket)
        return asked

    def _moved(self, ticket: T, name: str, weight: float) -> _Project[T]:
        """Remove the ticket from its current queue or place, and return its project."""
        weight = max(weight, MIN_WEIGHT)
        project = self._projects.get(name)
        if project is None:
            project = self._projects[name] = _Project(name, weight)
        if project.is_empty:  # idle time earns no credit; a new one waits for no backlog
            others = [p for p in self._projects.values() if not p.is_empty]
            earliest = min((p.clock for p in others), default=0.0)
            project.clock = max(project.clock, earliest)
            earliest = min((p.opening_clock for p in others), default=0.0)
            project.opening_clock = max(project.opening_clock, earliest)
        self.leaves(ticket)
        project.weight = weight
        self._owner[ticket] = project
        return project

    def _next_for_slot(self) -> _Project[T] | None:
        waiting = [project for project in self._projects.values() if project.waits_for_slot]
        return min(waiting, key=lambda p: (p.load, p.clock), default=None)

    def _next_to_open(self, kept: Mapping[str, int], now_s: float) -> _Project[T] | None:
        """Return the project with the fewest openings for its weight that may open a source."""
        able = [p for p in self._projects.values() if p.cold and self._may_open(p)]
        for project in sorted(able, key=lambda p: (p.n_opening / p.weight, p.opening_clock)):
            if self._has_share_left(project, kept, now_s):
                return project
        return None

    def _may_open(self, project: _Project[T]) -> bool:
        """Limit the number of open, idle decoders, but allow each project one."""
        if project.n_opening >= self._per_project:
            return False
        n_ready = sum(len(other.ready) for other in self._projects.values())
        return n_ready < self._slots or not project.n_opening

    def _has_share_left(self, project: _Project[T], kept: Mapping[str, int], now_s: float) -> bool:
        total = sum(p.weight for p in self._projects.values())
        share = max(1.0, self._sessions * project.weight / total)
        n_open = kept.get(project.name, 0) + project.n_opening + len(project.working)
        if n_open + 1 <= share:
            project.held_back_s = None
            return True
        if project.held_back_s is None:
            project.held_back_s = now_s
        if now_s - project.held_back_s < PATIENCE_S:
            return False
        project.held_back_s = now_s
        return True
