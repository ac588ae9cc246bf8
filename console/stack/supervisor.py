"""When a child is started, restarted, given up and stopped: a state machine without any I/O.

Time is whatever monotonic seconds the caller passes. The caller performs the actions that
`advance` returns and reports what happened with `ready` and `exited`.
"""

import enum
from collections.abc import Iterable
from dataclasses import dataclass, field

FIRST_BACKOFF_S = 0.5
MAX_BACKOFF_S = 30.0
STEADY_S = 60.0  # up for so long: earlier failures are forgotten
START_ATTEMPTS = 4  # failures in a row before a child was ever ready: the stack gives up


class Phase(enum.Enum):
    """Where a child stands."""

    WAITING = "waiting"  # for the children it comes after
    STARTING = "starting"
    READY = "ready"
    BACKOFF = "backoff"
    STOPPING = "stopping"
    STOPPED = "stopped"
    DONE = "done"  # a one-shot that ended well


@dataclass(frozen=True, slots=True)
class Rules:
    """How one child is to be treated.

    `after`: children that must be ready before it is started the first time. `stop_rank`: the
    highest are stopped first. `one_shot`: it is ready when it ends with 0. `essential`: the stack
    ends with it. `fatal_codes`: exit codes that a restart would not mend.
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
    """Ask the child to end."""

    name: str


@dataclass(frozen=True, slots=True)
class Kill:
    """End the child and all of its group now."""

    name: str


Action = Spawn | Terminate | Kill


@dataclass(frozen=True, slots=True)
class Restart:
    """The child died and will be started again after `delay_s`."""

    delay_s: float


@dataclass(frozen=True, slots=True)
class GiveUp:
    """The child's end is the stack's: everything is being stopped."""

    name: str
    code: int


@dataclass(slots=True)
class _Child:
    rules: Rules
    phase: Phase = Phase.WAITING
    since_s: float = 0.0
    retry_s: float = 0.0
    failures: int = 0
    grave: int = 0  # those among them that do not pass by themselves
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
    """All children of one stack."""

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
        """Return what is due now; each action is returned once."""
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
        """The child answers; without effect on a child that is not starting."""
        child = self._children[name]
        if child.phase is Phase.STARTING:
            child.move(Phase.READY, now_s)
            child.was_ready = True

    def exited(self, name: str, code: int, now_s: float) -> Restart | GiveUp | None:
        """The child's process ended; None when that was wanted."""
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
        """Stop everything; no child is started from now on."""
        self.stopping = True

    def hurry(self) -> list[Action]:
        """Stop without patience: kill what lives."""
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
        """Stop the children of the highest rank that still lives."""
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
