"""The archiver of one partition of video.chunks, sans-IO: records and outcomes in, actions out.

Guarantee: an offset is committed only if everything before it is in S3, including `final.json` of
closed logs. Each task holds the commit back at its first accepted record that is not in a stored
segment, and at the newest claim after the last stored record. The claim matters because readers
start at the commit: without it, they would accept a zombie of the older epoch as the writer.

Any number of archivers may work on one partition at the same time. Each task has at most one action
in progress; an existing segment is adopted, whichever archiver wrote it. Tasks are isolated from
each other: a task that cannot be archived is given up, and reported.
"""

from collections.abc import Callable

from cachetools import LRUCache

from streamproc.contract.records import ChunkRecord
from streamproc.sinks.archive.actions import Action, Outcome, Seek
from streamproc.sinks.archive.task import TaskArchive

N_REMEMBERED = 4096
COMMIT_WITHIN_RECORDS = 20_000
"""A restarted archiver reads about so many records again, at most: a live task whose records wait
for a larger segment is stored earlier if it holds the commit further back."""

_Event = Callable[[TaskArchive], list[Action]]


class Archiver:
    """One partition's archive; `position` is the consumer's start offset.

    Times are seconds of any monotonic clock. A damaged task is given up: it no longer holds the
    commit back, and the other tasks continue.
    """

    def __init__(self, position: int) -> None:
        self._next = position
        self._tasks: dict[str, TaskArchive] = {}
        self._finished: LRUCache[str, None] = LRUCache(N_REMEMBERED)
        self._flushing = False
        self._needed = 0

    @property
    def buffered_bytes(self) -> int:
        """Bytes of the records that wait for S3."""
        return sum(task.buffered_bytes for task in self._tasks.values())

    @property
    def is_idle(self) -> bool:
        """Whether nothing waits for S3, except claims without chunks."""
        return all(task.is_idle for task in self._tasks.values())

    def committable(self) -> int:
        """Return the offset that may be committed; it may be lower than an earlier result."""
        holds = [hold for task in self._tasks.values() if (hold := task.hold()) is not None]
        return min([self._next, *holds])

    def accept(self, record: ChunkRecord, now_s: float) -> list[Action]:
        """Process the next record of the partition, in Kafka order."""
        self._next = record.position + 1
        if record.task in self._finished:
            return []
        if record.task not in self._tasks:
            self._tasks[record.task] = TaskArchive(record.task, record.project)
        return self._run(record.task, now_s, lambda task: task.accept(record, now_s))

    def skip(self, position: int) -> None:
        """Skip a message that is not a valid record."""
        self._next = position + 1

    def tick(self, now_s: float, *, pressed: bool = False) -> list[Action]:
        """Return the flushes that are due now; `pressed`: memory is short, so all of them."""
        self._needed = self._next - (0 if pressed else COMMIT_WITHIN_RECORDS)
        return [action for task in list(self._tasks) for action in self._run(task, now_s)]

    def flush(self, now_s: float) -> list[Action]:
        """Make everything due from now on, because the process is about to exit."""
        self._flushing = True
        return self.tick(now_s)

    def done(self, outcome: Outcome, now_s: float) -> list[Action]:
        """Process the outcome of an action; that of a finished task is ignored."""
        if outcome.task not in self._tasks:
            return []
        return self._run(outcome.task, now_s, lambda task: task.done(outcome, now_s))

    def _is_needed(self, task: TaskArchive) -> bool:
        """Return whether all of the task's records are to be stored now."""
        hold = None if self._flushing else task.hold()
        return self._flushing or (hold is not None and hold < self._needed)

    def _run(self, name: str, now_s: float, event: _Event | None = None) -> list[Action]:
        """Give the task an event, and then the time; an error ends this task alone."""
        task = self._tasks[name]
        try:
            actions = event(task) if event else []
            actions = actions or task.tick(now_s, flushing=self._is_needed(task))
        except ValueError as exc:  # its records or objects are inconsistent
            actions = task.give_up(str(exc))
        except Exception as exc:  # noqa: BLE001 - one task's edge
            actions = task.give_up(f"{type(exc).__name__}: {exc}", "internal_error")
        for action in actions:
            if isinstance(action, Seek):
                self._next = action.position
        if task.is_finished:
            del self._tasks[name]
            self._finished[name] = None
        return actions
