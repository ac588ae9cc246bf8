"""Count of open (waiting or running) tasks per project, as far as this process knows.

A task counts from its submission here, or from its first record that this process reads, until
the terminal. After a restart, tasks that no worker has claimed yet do not count; nor do unclaimed
tasks that other processes accepted. They count once a worker claims them. Use from one event loop.
"""

import time
from collections import Counter, OrderedDict
from collections.abc import Callable, Iterable

from streamproc.contract.records import ChunkRecord

SILENT_S = 86_400.0
"""A task without any record for so long does not count: it may have been lost."""
_MAX_ENDED = 10_000


class OpenTasks:
    """Open tasks by project; each is kept with the time of its last record or submission."""

    def __init__(self, clock_s: Callable[[], float] = time.monotonic) -> None:
        self._clock_s = clock_s
        self._open: OrderedDict[str, tuple[str, float]] = OrderedDict()
        self._counts: Counter[str] = Counter()
        self._ended: OrderedDict[str, None] = OrderedDict()

    def count(self, project: str) -> int:
        """Return how many tasks of the project wait or run."""
        self._forget_silent()
        return self._counts[project]

    def accepted(self, project: str, task: str) -> None:
        """Count a task whose message Kafka has acknowledged."""
        self._heard(project, task)

    def read(self, records: Iterable[ChunkRecord]) -> None:
        """Update the counts from records of the log."""
        for record in records:
            if record.kind == "terminal":
                self._end(record.task)
            else:
                self._heard(record.project, record.task)

    def _heard(self, project: str, task: str) -> None:
        if task in self._ended:
            return  # a record of a fenced (stale) worker, or a duplicate of the task's message
        if self._open.pop(task, None) is None:
            self._counts[project] += 1
        self._open[task] = (project, self._clock_s())

    def _end(self, task: str) -> None:
        self._ended[task] = None
        self._ended.move_to_end(task)
        if len(self._ended) > _MAX_ENDED:
            self._ended.popitem(last=False)
        self._drop(task)

    def _drop(self, task: str) -> None:
        found = self._open.pop(task, None)
        if found is not None:
            project, _ = found
            self._counts[project] -= 1
            if not self._counts[project]:
                del self._counts[project]

    def _forget_silent(self) -> None:
        horizon_s = self._clock_s() - SILENT_S
        while self._open:
            task, (_, heard_s) = next(iter(self._open.items()))
            if heard_s > horizon_s:
                return
            self._drop(task)
