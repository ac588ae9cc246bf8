"""Tail cache: the newest records of every task, kept in memory within one budget of bytes.

A state machine without clock or socket (sans-IO). All partitions share the budget; every task has
its own records. A task is *unseeded* until a reader needs it. Then `seed` restores the state that
S3 has, and the cached records are folded onto it. From then on its accepted bytes can be read by
offset, by any number of readers: readers only hold cursors, the bytes are stored once.

Rules that make the transition between S3 and the tail cache exact:

- A record is evicted only if it is archived, and a task's records are evicted in Kafka's order. So
  a listing made after an eviction shows the evicted bytes.
- A record is archived if its offset is below (a) the archive's committed offset, or (b) the Kafka
  offset at which its task's last segment says to continue (`stored`). (a) alone is not enough: it
  waits for the slowest task of a partition, which may be a claim without any further record.
- `ticket` is called before the listing and its result is passed to `seed`. If the task has lost
  records meanwhile that the listing may not cover, `seed` returns False: list again.
- A gap right after a seed is in the log itself, and every reader drops it. Any other gap unseeds
  the task, so that it is read again from S3.
"""

import heapq
from collections import OrderedDict
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from api.log.task_tail import Tail, TailFacts, TailView, Ticket, size_of, strip_payload
from streamproc.contract.fold import Fold
from streamproc.contract.records import ChunkRecord


class TaskPlace(NamedTuple):
    """A task with records in the cache: its project, and its partition of video.chunks."""

    project: str
    task: str
    partition: int


class TailCache:
    """The tails of all tasks, within one budget of bytes."""

    def __init__(self, budget_bytes: int, *, max_idle_tasks: int = 4096) -> None:
        self.n_gaps = 0
        self._budget_bytes = budget_bytes
        self._max_idle_tasks = max_idle_tasks
        self._size_bytes = 0
        self._positions: dict[int, int] = {}
        self._archived: dict[int, int] = {}
        self._tails: dict[str, Tail] = {}
        self._holding: dict[str, Tail] = {}
        self._idle: OrderedDict[str, None] = OrderedDict()
        self._n_born = 0
        self._asked: dict[str, int] = {}  # the round that last returned a held task as a candidate
        self._n_asked = 0
        self._stuck = False

    @property
    def size_bytes(self) -> int:
        return self._size_bytes

    @property
    def saturated(self) -> bool:
        """Whether the cache holds more than twice its budget, because the archive lags."""
        return self._size_bytes > 2 * self._budget_bytes

    @property
    def eviction_blocked(self) -> bool:
        """Whether the cache is over its budget and no record is known to be archived."""
        return self._stuck

    def start(self, partition: int, position: int) -> None:
        """Start a partition at Kafka offset `position`: all records before it are in S3 or gone."""
        self._positions[partition] = self._archived[partition] = position

    def position(self, partition: int) -> int:
        """Return the Kafka offset before which all was received; raises KeyError before `start`."""
        return self._positions[partition]

    def feed(self, partition: int, records: Iterable[ChunkRecord], position: int) -> set[str]:
        """Add a batch that ends before Kafka offset `position`; return the tasks with new records.

        Records that were added before are skipped. A batch may contain records of many tasks.
        """
        at = self._positions[partition]
        touched: set[str] = set()
        for record in records:
            if record.position < at:
                continue
            at = record.position + 1
            kept = strip_payload(record)
            tail = self._tail(kept.task, partition)
            self._idle.pop(kept.task, None)
            self._holding[kept.task] = tail
            self._size_bytes += size_of(kept)
            self.n_gaps += tail.add(kept)
            touched.add(kept.task)
        self._positions[partition] = max(at, position)
        self._evict()
        return touched

    def archive_position(self, partition: int) -> int:
        """Return the Kafka offset before which all records are known to be in S3."""
        return self._archived[partition]

    def archived(self, positions: Mapping[int, int]) -> None:
        """Set the Kafka offset of each partition before which all records are in S3; evict."""
        for partition, position in positions.items():
            self._archived[partition] = max(self._archived[partition], position)
        self._stuck = False
        self._evict()

    def stored(self, task: str, fold: Fold) -> None:
        """Record what S3 holds of one task, as the fold after its last segment; evict."""
        tail = self._tails.get(task)
        if tail is not None:
            tail.note_stored(fold)
            self._stuck = False
            self._evict()

    def eviction_candidates(self, limit: int) -> list[TaskPlace]:
        """Return eviction candidates: tasks to list in S3 and pass to `stored`; none unless stuck.

        They are the ones returned least recently, the largest of these first. Tasks that have only
        claims are left out: they use hardly any memory.
        """
        if not self._stuck:
            return []
        found = heapq.nsmallest(
            limit,
            (
                (self._asked.get(task, 0), -tail.size_bytes, task)
                for task, tail in self._holding.items()
                if tail.is_written
            ),
        )
        self._n_asked += 1
        self._asked.update((task, self._n_asked) for _, _, task in found)
        return [
            TaskPlace(self._tails[task].project, task, self._tails[task].partition)
            for _, _, task in found
        ]

    def oldest_offset(self, task: str) -> int:
        """Return a log offset that S3 has, or nearly: where the oldest record begins, 0 without."""
        tail = self._tails.get(task)
        return 0 if tail is None else tail.oldest_offset

    def ticket(self, task: str, partition: int) -> Ticket:
        """Return the task's eviction state; call it before listing the task's segments."""
        tail = self._tail(task, partition)
        self._rest(task, tail)
        return tail.ticket()

    def seed(self, task: str, ticket: Ticket, fold: Fold, started_ms: int | None = None) -> bool:
        """Restore the task's state from S3, listed after `ticket`; False: list again, new ticket.

        Every record of the task from max(ticket's floor, fold.position) on must still be here.
        A task that is already seeded keeps its state.
        """
        tail = self._tails.get(task)
        if tail is None or not tail.seed(ticket, fold, started_ms):
            return False
        self._rest(task, tail)
        return True

    def view(self, task: str) -> TailView | None:
        """Return the task's readable range; None if the task is not seeded."""
        tail = self._tails.get(task)
        return None if tail is None else tail.view()

    def facts(self, task: str) -> TailFacts:
        tail = self._tails.get(task)
        return TailFacts() if tail is None else tail.facts()

    def read(self, task: str, offset: int, limit_bytes: int) -> bytes:
        """Return log bytes from `offset` on: at least one, at most `limit_bytes` or one record.

        Raises KeyError unless `offset` is in `[start, end)` of the task's view.
        """
        tail = self._tails.get(task)
        if tail is None:
            raise KeyError(f"the tail cache does not hold {task}")
        return tail.read(offset, limit_bytes)

    def offset_at(self, task: str, time_ms: int) -> int | None:
        """Return where the first cached event of `time_ms` (Unix ms) or later begins."""
        tail = self._tails.get(task)
        return None if tail is None else tail.offset_at(time_ms)

    def watch(self, task: str, partition: int) -> None:
        """Keep the task's state while a reader waits for it. Every `watch` needs an `unwatch`."""
        self._tail(task, partition).watch()
        self._idle.pop(task, None)

    def unwatch(self, task: str) -> None:
        tail = self._tails[task]
        tail.unwatch()
        self._rest(task, tail)

    def _tail(self, task: str, partition: int) -> Tail:
        tail = self._tails.get(task)
        if tail is None:
            self._n_born += 1
            tail = self._tails[task] = Tail(partition, self._n_born)
        return tail

    def _rest(self, task: str, tail: Tail) -> None:
        """Mark a task without records and readers as idle; drop the least recently used ones."""
        if not tail.is_resting:
            return
        self._idle[task] = None
        self._idle.move_to_end(task)
        while len(self._idle) > self._max_idle_tasks:
            forgotten, _ = self._idle.popitem(last=False)
            del self._tails[forgotten]

    def _evict(self) -> None:
        """If over the budget, evict archived records, oldest first, until an eighth is free.

        Freeing an eighth, and not searching again while stuck (`_stuck`), keeps the cost per record
        low.
        """
        if self._stuck or self._size_bytes <= self._budget_bytes:
            return
        goal_bytes = self._budget_bytes - self._budget_bytes // 8
        oldest = [
            (tail.oldest_ms, tail.generation, task)
            for task, tail in self._holding.items()
            if self._may_evict(tail)
        ]
        heapq.heapify(oldest)
        while oldest and self._size_bytes > goal_bytes:
            _, generation, task = oldest[0]
            tail = self._holding[task]
            self._size_bytes -= tail.evict()
            if self._may_evict(tail):
                heapq.heapreplace(oldest, (tail.oldest_ms, generation, task))
                continue
            heapq.heappop(oldest)
            if not tail.size_bytes:
                del self._holding[task]
                self._asked.pop(task, None)
                self._rest(task, tail)
        self._stuck = self._size_bytes > self._budget_bytes

    def _may_evict(self, tail: Tail) -> bool:
        return tail.may_evict(self._archived[tail.partition])
