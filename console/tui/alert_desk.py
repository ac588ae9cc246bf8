"""Tells an operator of alerts: toasts, and on wish the terminal's bell and its notification."""

from collections.abc import Callable, Sequence

from api.contract.resources import SystemResource, TaskResource
from console.printable import printable
from console.tui.clock import Clock
from console.tui.view_models.alerts import Alert, AlertBook, Condition, service_conditions, told
from console.tui.view_models.lag_watch import LagWatch

_MAX_NOTIFICATION = 200


class AlertDesk:
    """Keeps the alerts. `say` shows a toast; `changed` is called after each reading.

    `ring` gets the bytes for the terminal (bell, and OSC 9 with the text); None: it stays silent.
    """

    def __init__(
        self,
        clock: Clock,
        say: Callable[[str], object],
        changed: Callable[[], object],
        ring: Callable[[str], object] | None,
    ) -> None:
        self.book = AlertBook()
        self._clock = clock
        self._lag = LagWatch()
        self._say, self._changed, self._ring = say, changed, ring

    def take(self, system: SystemResource, failures: Sequence[TaskResource]) -> None:
        """Take a reading of the service and the latest failed tasks."""
        now = self._clock.now()
        backlogs = self._lag.take(system, self._clock.monotonic_s())
        conditions = service_conditions(system, backlogs)
        new = self.book.observe({"part", "worker", "lag"}, conditions, now)
        self._tell((*new, *self.book.take_failures(failures, now)))

    def take_stall(self, task_id: str, why: str | None) -> None:
        """Take whether the followed stream is stalled, and why; None: it moves."""
        found = [] if why is None else [Condition("stream", task_id, "stream is stalled", why)]
        self._tell(self.book.observe({"stream"}, found, self._clock.now()))

    def see_all(self) -> None:
        self.book.see_all()
        self._changed()

    def _tell(self, new: Sequence[Alert]) -> None:
        lines = told(new)
        for line in lines:
            self._say(line)
        if lines and self._ring is not None:
            self._ring(notification(lines))
        self._changed()


def notification(lines: Sequence[str]) -> str:
    """Return the bell and OSC 9 with the lines, without control characters of others."""
    text = printable(" · ".join(lines))[:_MAX_NOTIFICATION]
    return f"\a\x1b]9;framewire: {text}\x1b\\"
