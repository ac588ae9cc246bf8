"""Failed tasks since a moment: the query that finds them, and which of them are new. Pure."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from math import ceil
from typing import NamedTuple

from api.contract.query.tasks import TASKS
from api.contract.query.terms import Among, Compare, Query, render
from api.contract.tasks import TaskResource

MAX_READ = 1000
"""Tasks of one reading; of more, only the number is known."""
MAX_KNOWN = 4000
_MAX_AGO = timedelta(days=30)
_LATE_S = 600.0
"""A task may be listed as failed this long after its end: the index reads its log first."""
_SLACK_S = 2.0
"""The api asks its own clock a little later."""


class NewFailures(NamedTuple):
    """Tasks that have failed, how many more there are, and the moment after which they ended."""

    tasks: Sequence[TaskResource]
    n_more: int
    since: datetime


class FailureWatch:
    """The failed tasks that ended after `since`, and were not told yet.

    `since` is when the alerts were last looked at, or the start. It may be set later; what is
    known stays known, and what is listed late is still found.
    """

    def __init__(self, since: datetime) -> None:
        self.since = since
        self._first = self._from = since
        self._known: dict[str, None] = {}
        self._n_beyond = 0

    def query(self, now: datetime) -> str:
        """Return the query that finds what may be new."""
        return failed_since(max(self._from, now - _MAX_AGO), now)

    def take(self, tasks: Sequence[TaskResource], matching: int, now: datetime) -> NewFailures:
        """Take what the query found: the first of `matching` tasks."""
        fresh = [task for task in tasks if task.id not in self._known]
        for task in tasks:  # those of this reading are forgotten last
            self._known.pop(task.id, None)
            self._known[task.id] = None
        for task_id in list(self._known)[: max(0, len(self._known) - MAX_KNOWN)]:
            del self._known[task_id]
        n_beyond = max(0, matching - len(tasks))
        n_more, self._n_beyond = max(0, n_beyond - self._n_beyond), n_beyond
        since, self._from = self._from, max(self._first, now - timedelta(seconds=_LATE_S))
        return NewFailures(fresh, n_more, since)


def failed_since(since: datetime, now: datetime) -> str:
    """Return the query of the failed tasks that ended after a moment."""
    ago_s = ceil((now - since).total_seconds() + _SLACK_S)
    failed = (Among("status", ("failed",)), Compare("ended", "<", float(ago_s)))
    return render(Query(failed), TASKS)
