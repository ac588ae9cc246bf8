"""Process supervisor: start, restart with exponential backoff, give up, ordered stop. No I/O.

A state machine. The caller passes the time in monotonic seconds, performs the actions that
`advance` returns, and reports events with `ready` and `exited`.
"""

import enum
from collections.abc import Iterable
from dataclasses import dataclass, field

FIRST_BACKOFF_S = 0.5
MAX_BACKOFF_S = 30.0
STEADY_S = 60.0  # after so long in READY, the failure count is reset
START_ATTEMPTS = 4  # failures of a child that was never ready, then the stack gives up


class Phase(enum.Enum):
    """State of a child."""

    WAITING = "waiting"  # for the children in `after`
    STARTING = "starting"
    READY = "ready"
    BACKOFF = "backoff"
    STOPPING = "stopping"
    STOPPED = "stopped"
    DONE = "done"  # a one-shot that exited with 0


@dataclass(frozen=True, slots=True)
class Rules:
    """Supervision rules of one child.

    `after`: children that must be ready before its first start. `stop_rank`: the highest rank is
    stopped first. `one_shot`: it is ready when it exits with 0. `essential`: the stack ends with
    it. `fatal_codes`: exit codes for which a restart is useless. `patient_codes`: exit codes of
    transient failures, which do not count towards `START_ATTEMPTS`.
    """

    name: str
    after: tuple[str, ...] = ()
    stop_rank: int = 0
    one_shot: bool = False
    essential: bool = False
    fatal_codes: frozenset[int] = frozenset()
    patient_codes: frozenset[int] = frozenset()
    start_deadline_s: float = 60.0
    stop_deadline_s: float = 5.0


@dataclass(frozen=True, slots=True)
class Spawn:
    """Start the child."""

    name: str


@dataclass(frozen=True, slots=True)
class Terminate:
    """Ask the child to end (SIGTERM)."""

    name: str


@dataclass(frozen=True, slots=True)
class Kill:
    """Kill the child and its process group."""

    name: str


Action = Spawn | Terminate | Kill


@dataclass(frozen=True, slots=True)
class Restart:
    """The child ended unexpectedly and is started again after `delay_s`."""

    delay_s: float


@dataclass(frozen=True, slots=True)
class GiveUp:
    """The child ended and is not restarted: the whole stack is being stopped."""

    name: str
    code: int


@dataclass(slots=True)
class _Child:
    rules: Rules
    phase: Phase = Phase.WAITING
    since_s: float = 0.0
    retry_s: float = 0.0
    failures: int = 0
    grave: int = 0  # failures that are not transient
    was_ready: bool = False
    killed: bool = False

    def move(self, phase: Phase, now_s: float) -> None:
        self.phase = phase
        self.since_s = now_s
        self.killed = False


_ALIVE = (Phase.STARTING, Phase.READY, Phase.STOPPING)
_ENDED = (Phase.STOPPED, Phase.DONE)


@dataclass(slots=True)
class Supervisor:
    """Supervisor of all children of one stack."""

    rules: Iterable[Rules]
    stopping: bool = False
    failure: GiveUp | None = None
    _children: dict[str, _Child] = field(init=False)

    def __post_init__(self) -> None:
        self._children = {rules.name: _Child(rules) for rules in self.rules}

    def phase(self, name: str) -> Phase:
        return self._children[name].phase

    @property
    def all_ready(self) -> bool:
        return all(c.phase in {Phase.READY, Phase.DONE} for c in self._children.values())

    @property
    def all_stopped(self) -> bool:
        return self.stopping and all(c.phase in _ENDED for c in self._children.values())

    def advance(self, now_s: float) -> list[Action]:
        """Return the actions that are due now; each action is returned once."""
        if self.stopping:
            return self._stop_next(now_s)
        actions: list[Action] = []
        for child in self._children.values():
            match child.phase:
                case Phase.WAITING if self._may_start(child):
                    actions.append(self._spawn(child, now_s))
                case Phase.BACKOFF if now_s >= child.retry_s:
                    actions.append(self._spawn(child, now_s))
                case Phase.STARTING if not child.killed and self._overdue(child, now_s):
                    child.killed = True
                    actions.append(Kill(child.rules.name))
                case Phase.READY if child.failures and now_s - child.since_s >= STEADY_S:
                    child.failures = 0
                case _:
                    pass
        return actions

    def ready(self, name: str, now_s: float) -> None:
        """Report that the child is ready. No effect on a child that is not starting."""
        child = self._children[name]
        if child.phase is Phase.STARTING:
            child.move(Phase.READY, now_s)
            child.was_ready = True

    def exited(self, name: str, code: int, now_s: float) -> Restart | GiveUp | None:
        """Report that the child's process ended; return None if that was expected."""
        child = self._children[name]
        if child.rules.one_shot and code == 0:
            child.move(Phase.DONE, now_s)
            return None
        if self.stopping:
            child.move(Phase.STOPPED, now_s)
            return None
        child.failures += 1
        child.grave += code not in child.rules.patient_codes
        tired = not child.was_ready and child.grave >= START_ATTEMPTS
        if child.rules.essential or code in child.rules.fatal_codes or tired:
            child.move(Phase.STOPPED, now_s)
            self.failure = GiveUp(name, code)
            self.stopping = True
            return self.failure
        delay_s = min(MAX_BACKOFF_S, FIRST_BACKOFF_S * 2.0 ** min(child.failures - 1, 10))
        child.move(Phase.BACKOFF, now_s)
        child.retry_s = now_s + delay_s
        return Restart(delay_s)

    def stop(self) -> None:
        """Start an ordered stop; no child is started afterwards."""
        self.stopping = True

    def hurry(self) -> list[Action]:
        """Stop immediately: return a `Kill` for every running child."""
        self.stopping = True
        return [Kill(c.rules.name) for c in self._children.values() if c.phase in _ALIVE]

    def _may_start(self, child: _Child) -> bool:
        return all(
            self._children[name].phase in {Phase.READY, Phase.DONE} for name in child.rules.after
        )

    @staticmethod
    def _overdue(child: _Child, now_s: float) -> bool:
        return now_s - child.since_s >= child.rules.start_deadline_s

    @staticmethod
    def _spawn(child: _Child, now_s: float) -> Spawn:
        child.move(Phase.STARTING, now_s)
        return Spawn(child.rules.name)

    def _stop_next(self, now_s: float) -> list[Action]:
        """Stop the running children of the highest stop rank."""
        for child in self._children.values():
            if child.phase in {Phase.WAITING, Phase.BACKOFF}:
                child.move(Phase.STOPPED, now_s)
        living = [c for c in self._children.values() if c.phase in _ALIVE]
        actions: list[Action] = []
        rank = max((c.rules.stop_rank for c in living), default=0)
        for child in living:
            if child.rules.stop_rank != rank:
                continue
            if child.phase is not Phase.STOPPING:
                child.move(Phase.STOPPING, now_s)
                actions.append(Terminate(child.rules.name))
            elif not child.killed and now_s - child.since_s >= child.rules.stop_deadline_s:
                child.killed = True
                actions.append(Kill(child.rules.name))
        return actions
