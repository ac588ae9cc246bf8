"""Tells an operator of alerts: toasts, and on wish the terminal's bell and its notification."""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime

from api.contract.system import SystemResource
from api.contract.tasks import TaskResource
from console.printable import printable
from console.tui.clock import Clock
from console.tui.terminal_passthrough import passed_through
from console.tui.view_models.alerts import (
    Alert,
    AlertBook,
    Condition,
    service_conditions,
    source_conditions,
    stall_conditions,
    told,
)
from console.tui.view_models.failure_watch import FailureWatch
from console.tui.view_models.health import Health, health_of, idle_reason
from console.tui.view_models.lag_watch import LagWatch
from console.tui.view_models.running_sweep import RunningSweep
from console.tui.view_models.source_watch import SourceWatch
from console.tui.view_models.stall_watch import StallWatch

_MAX_NOTIFICATION = 200


class AlertDesk:
    """Keeps the alerts. `say` shows a toast; `changed` is called after each reading.

    `ring` gets the lines for the terminal, see `notification`; None: it stays silent.
    `acknowledged` returns when the alerts of a project were last looked at; without that moment,
    tasks that failed before the first reading are none.
    """

    def __init__(
        self,
        clock: Clock,
        say: Callable[[str], object],
        changed: Callable[[], object],
        ring: Callable[[Sequence[str]], object] | None,
        acknowledged: Callable[[str | None], datetime | None] = lambda _: None,
    ) -> None:
        self.book = AlertBook()
        self.project: str | None = None
        self._clock = clock
        self._started = clock.now()
        self._lag = LagWatch()
        self._failures: FailureWatch | None = None
        self._running = RunningSweep()
        self._stalls = StallWatch()
        self._sources = SourceWatch()
        self._blind: frozenset[str] = frozenset()
        self._health = Health()
        self._followed: list[Condition] = []
        self._others: list[Condition] = []
        self._say, self._changed, self._ring = say, changed, ring
        self._acknowledged = acknowledged

    @property
    def since(self) -> datetime | None:
        """The moment from which failed tasks are told at the next start; None if unknown."""
        return None if self._failures is None else self._failures.since

    def take(self, system: SystemResource) -> None:
        """Take a reading of the service."""
        now = self._clock.now()
        self._health = health_of(system)
        if self._failures is None:
            self.project = system.project
            self._failures = FailureWatch(self._acknowledged(system.project) or self._started)
        backlogs = self._lag.take(system, self._clock.monotonic_s())
        conditions = service_conditions(system, backlogs)
        self._tell(self.book.observe({"part", "worker", "lag"}, conditions, now))

    def failures_query(self) -> str | None:
        """Return the query of failed tasks that may be new; None before the first reading."""
        return None if self._failures is None else self._failures.query(self._clock.now())

    def take_failures(self, tasks: Sequence[TaskResource], matching: int) -> None:
        """Take the first of the `matching` tasks that `failures_query` found."""
        if self._failures is not None:
            now = self._clock.now()
            failures = self._failures.take(tasks, matching, now)
            self._tell(self.book.take_failures(failures, now))

    @property
    def running_cursor(self) -> str | None:
        """Where the next reading of running tasks begins; None: at the oldest."""
        return self._running.cursor

    def start_running_over(self) -> None:
        """Let the next reading of running tasks begin at the oldest."""
        self._running.start_over()

    def take_running(
        self, tasks: Sequence[TaskResource], cursor: str | None = None
    ) -> tuple[str, ...]:
        """Take running tasks from `running_cursor` on; `cursor` is the page after them, if any.

        Return the ids of those whose own state is to be read.
        """
        now, at_s = self._clock.now(), self._clock.monotonic_s()
        read = self._running.take(tasks, cursor)
        self._sources.take(read, at_s)
        blind = self._sources.blind(at_s)
        self._blind = frozenset(one.task.id for one in blind)
        self._tell(self.book.observe({"source"}, source_conditions(blind), now))
        return self._stalls.take(read, self._health.slots, now, at_s)

    def take_own(self, task: TaskResource) -> None:
        """Take the own state of a task that seemed to make no progress."""
        self._stalls.take_own(task, self._clock.now(), self._clock.monotonic_s())

    def tell_stalls(self) -> None:
        """Tell the running tasks that make no progress."""
        stalled = [one for one in self._stalls.stalled() if one.task.id not in self._blind]
        why = idle_reason(self._health)
        self._others = stall_conditions(stalled, why, self._stalls.n_suspects())
        self._tell_streams()

    def take_stall(self, task_id: str, why: str | None) -> None:
        """Take whether the followed stream is stalled, and why; None: it moves."""
        self._followed = (
            [] if why is None else [Condition("stream", task_id, "stream is stalled", why)]
        )
        self._tell_streams()

    def see_all(self) -> None:
        """All alerts were looked at."""
        self.book.see_all()
        if self._failures is not None:
            self._failures.since = self._clock.now()
        self._changed()

    def _tell_streams(self) -> None:
        followed = [one for one in self._followed if one.subject not in self._blind]
        found = [*self._others, *followed]
        self._tell(self.book.observe({"stream"}, found, self._clock.now()))

    def _tell(self, new: Sequence[Alert]) -> None:
        lines = told(new)
        for line in lines:
            self._say(line)
        if lines and self._ring is not None:
            self._ring(lines)
        self._changed()


def notification(
    lines: Sequence[str], environ: Mapping[str, str], *, bell: bool, notify: bool
) -> str:
    """Return the bell, and OSC 9 with the lines, without control characters of others.

    The bell is for a multiplexer, too; OSC 9 is passed on to the terminal behind it.
    """
    text = printable(" · ".join(lines))[:_MAX_NOTIFICATION]
    sequence = passed_through(f"\x1b]9;framewire: {text}\a", environ)
    return ("\a" if bell else "") + (sequence if notify else "")
