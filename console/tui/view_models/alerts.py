"""Alerts: what happened, or goes on, that an operator should know. Pure.

A reading of the service yields conditions, which hold as long as readings repeat them. A failed
task is an event: it does not end by itself. So are many at once (kind `failures`), of which only
the first are alerts of their own.
"""

from collections.abc import Collection, Iterable, Sequence
from datetime import datetime
from typing import Literal, NamedTuple

import msgspec

from api.contract.system import SystemResource
from api.contract.tasks import LiveSource, TaskResource
from console.tui.drawing.formatting import duration, grouped, short_id
from console.tui.drawing.table_layout import Column, Row
from console.tui.view_models.failure_watch import NewFailures
from console.tui.view_models.health import PART_TITLES
from console.tui.view_models.lag_watch import Backlog
from console.tui.view_models.source_watch import Blind
from console.tui.view_models.stall_watch import Stalled
from console.tui.view_models.task_list import parse_time
from streamproc.contract.source_label import short_name

MAX_ALERTS = 200
"""Ended ones are dropped first, then the oldest."""
MAX_TOLD = 3
"""More alerts at once than these are told in one line."""
MAX_FAILED = 100
"""Failed tasks of one reading that are alerts of their own."""
MAX_STALLED = 20
"""Stalled tasks, and live sources without frames, that are alerts of their own."""
Kind = Literal["task", "failures", "worker", "part", "lag", "stream", "source"]
EVENTS: frozenset[Kind] = frozenset({"task", "failures"})
ALL_STREAMS = "…"
"""Subject of the condition that stands for the other ones."""
ALERT_COLUMNS = (
    Column("age", "AGE", 6, right=True),
    Column("state", "STATE", 9),
    Column("title", "ALERT", 24, flex=1),
    Column("detail", "DETAIL", 18, flex=2, rank=1),
)


class Condition(NamedTuple):
    """Something that is wrong now; `subject` identifies the task, worker, part, group/topic."""

    kind: Kind
    subject: str
    title: str
    detail: str = ""

    @property
    def key(self) -> str:
        return f"{self.kind}:{self.subject}"


class Alert(msgspec.Struct, frozen=True):
    """An alert; `ended` is None while its condition holds, and for events."""

    condition: Condition
    raised: datetime
    ended: datetime | None = None
    seen: bool = False

    @property
    def key(self) -> str:
        return self.condition.key


class AlertBook:
    """All alerts, newest first; at most `MAX_ALERTS`."""

    def __init__(self) -> None:
        self._alerts: dict[str, Alert] = {}

    @property
    def alerts(self) -> Sequence[Alert]:
        return sorted(self._alerts.values(), key=lambda one: one.raised, reverse=True)

    @property
    def n_unseen(self) -> int:
        return sum(not one.seen for one in self._alerts.values())

    def get(self, key: str) -> Alert | None:
        return self._alerts.get(key)

    def observe(
        self, kinds: Collection[Kind], conditions: Iterable[Condition], now: datetime
    ) -> tuple[Alert, ...]:
        """Take all conditions of some kinds as they are now; return the alerts that are new.

        A condition that was there before goes on, with its newest words. One that is not there any
        more has ended; if it comes back, that is a new alert.
        """
        current = {condition.key: condition for condition in conditions}
        for key, alert in self._alerts.items():
            if alert.condition.kind in kinds and alert.ended is None and key not in current:
                self._alerts[key] = msgspec.structs.replace(alert, ended=now)
        return self._raise(current.values(), now)

    def take_failures(self, failures: NewFailures, now: datetime) -> tuple[Alert, ...]:
        """Take tasks that have failed, as events of the time of their end.

        Beyond `MAX_FAILED` they are one alert, whose subject begins with the time from which on.
        """
        fresh, n_more, since = failures
        raised: list[Alert] = []
        for task in fresh[:MAX_FAILED]:
            raised += self._raise([_failed(task)], min(now, parse_time(task.finished_at) or now))
        n_more += max(0, len(fresh) - MAX_FAILED)
        if n_more:
            what = "1 more task" if n_more == 1 else f"{grouped(n_more)} more tasks"
            subject = f"{since.isoformat()} {now.isoformat()}"
            raised += self._raise([Condition("failures", subject, f"{what} failed")], now)
        return tuple(raised)

    def see_all(self) -> None:
        """Mark all as seen: the list was opened."""
        for key, alert in self._alerts.items():
            self._alerts[key] = msgspec.structs.replace(alert, seen=True)

    def clear_ended(self) -> None:
        """Remove seen events, and alerts whose condition has ended."""
        for alert in self.alerts:
            if alert.ended is not None or (alert.condition.kind in EVENTS and alert.seen):
                del self._alerts[alert.key]

    def _raise(self, conditions: Iterable[Condition], now: datetime) -> tuple[Alert, ...]:
        raised: list[Alert] = []
        for condition in conditions:
            before = self._alerts.get(condition.key)
            if before is None or before.ended is not None:
                alert = Alert(condition, now)
                raised.append(alert)
            else:
                alert = msgspec.structs.replace(before, condition=condition)
            self._alerts[condition.key] = alert
        by_worth = sorted(
            self.alerts, key=lambda one: one.ended is not None
        )  # stable: newest first
        for alert in by_worth[MAX_ALERTS:]:
            del self._alerts[alert.key]
        return tuple(raised)


def service_conditions(system: SystemResource, backlogs: Iterable[Backlog]) -> list[Condition]:
    """Return what is wrong with parts, workers and lag (kinds `part`, `worker` and `lag`)."""
    found = [
        Condition(
            "part",
            part.name,
            f"{PART_TITLES.get(part.name, part.name)} does not work",
            part.detail or "",
        )
        for part in system.parts
        if not part.ready
    ]
    for worker in system.workers:
        if not worker.alive:
            said = f"last heartbeat {worker.seen_at}"
            found.append(Condition("worker", worker.id, f"worker {worker.id} is gone", said))
        elif worker.device_fault is not None:
            title = f"worker {worker.id} takes no tasks"
            found.append(Condition("worker", worker.id, title, worker.device_fault))
    for log in backlogs:
        what = "tasks wait for a worker" if log.is_waiting else f"{log.title}, and grows"
        detail = f"{grouped(log.messages)} for {log.since_s:.0f} s"
        found.append(Condition("lag", log.key, what, detail))
    return found


def stall_conditions(stalled: Sequence[Stalled], why: str, n_suspects: int = 0) -> list[Condition]:
    """Return the conditions (kind `stream`) of running tasks that make no progress.

    `n_suspects` have no new frame in the list, and their own state was not read yet. They are told
    beside many that are stalled; of a few tasks all are read at once.
    """
    found = [
        Condition(
            "stream",
            one.task.id,
            f"{short_name(one.task.source)} {short_id(one.task.id)} stalled",
            f"no frame for {one.idle_s:.0f} s: {_lost_source(one.task) or why}",
        )
        for one in stalled[:MAX_STALLED]
    ]
    if len(stalled) > MAX_STALLED:
        title = f"{grouped(len(stalled) - MAX_STALLED)} more tasks stalled"
        others = f"; {grouped(n_suspects)} more have no new frame in the list" if n_suspects else ""
        found.append(Condition("stream", ALL_STREAMS, title, why + others))
    return found


def source_conditions(blind: Sequence[Blind]) -> list[Condition]:
    """Return the conditions (kind `source`) of live sources that are lost or give no frames."""
    found = [Condition("source", one.task.id, *_blind(one)) for one in blind[:MAX_STALLED]]
    if len(blind) > MAX_STALLED:
        title = f"{grouped(len(blind) - MAX_STALLED)} more live sources without frames"
        found.append(Condition("source", ALL_STREAMS, title))
    return found


def _blind(one: Blind) -> tuple[str, str]:
    name = f"{short_name(one.task.source)} {short_id(one.task.id)}"
    if not one.is_lost:
        return f"{name} gives no frames", f"live, and no frame for {duration(round(one.away_s))}"
    why = one.source.code or "no reason is known"
    return f"{name} is lost", f"{why}, since {one.source.since}"


def _lost_source(task: TaskResource) -> str:
    """Return why a live source has no frames, as its worker says; empty if it is live."""
    source = task.live
    if not isinstance(source, LiveSource) or source.state == "live":
        return ""
    return f"its source is {source.state}" + (f", {source.code}" if source.code else "")


def told(alerts: Sequence[Alert]) -> list[str]:
    """Return the texts of toasts for new alerts: at most `MAX_TOLD`, the last one for the rest."""
    lines = [": ".join(filter(None, one.condition[2:4])) for one in alerts]
    if len(lines) <= MAX_TOLD:
        return lines
    shown = lines[: MAX_TOLD - 1]
    return [*shown, f"{len(lines) - len(shown)} more alerts"]


def alert_rows(alerts: Sequence[Alert], now: datetime) -> list[Row]:
    rows: list[Row] = []
    for alert in alerts:
        age = duration((now - alert.raised).total_seconds())
        title_tone = "" if alert.ended is None else "dim"
        rows.append(
            Row(
                alert.key,
                (
                    ((age, "dim"),),
                    _state(alert, now),
                    ((alert.condition.title, title_tone if alert.seen else f"{title_tone}!"),),
                    ((alert.condition.detail, "dim"),),
                ),
            )
        )
    return rows


def _state(alert: Alert, now: datetime) -> tuple[tuple[str, str]]:
    if alert.condition.kind in EVENTS:
        return (("✖ failed", "bad"),)
    if alert.ended is None:
        return (("▲ now", "bad!"),)
    return ((f"✔ {duration((now - alert.ended).total_seconds())}", "good"),)


def _failed(task: TaskResource) -> Condition:
    error = task.error
    detail = f"{error.code}: {error.message}" if error is not None else ""
    return Condition(
        "task", task.id, f"{short_name(task.source)} {short_id(task.id)} failed", detail
    )
