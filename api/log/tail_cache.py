"""The tail of every task: records as Kafka gives them, folded, kept until archived and unwanted.

A state machine without clock or socket. All partitions share one budget of bytes; every task has
its own records. A task is *unseeded* until a reader asks for it: then the state that S3 knows is
planted (`seed`) and its records here are folded onto it. From there on its accepted bytes can be
read by offset, by any number of readers: they hold cursors, the bytes are here once.

Rules that make the seam between S3 and the ring exact:

- a record leaves only when it is archived, and a task's records leave in Kafka's order, so a
  listing that is made after a record left shows its bytes;
- archived is what lies before the archive's committed offset, and, of one task, what lies before
  the Kafka offset at which its last segment says to go on (`stored`). The commit alone would not
  do: it waits for the slowest task of a partition, a claim that nobody follows up among them;
- `ticket` is taken before the listing and given to `seed`: when the task has meanwhile lost
  records that the listing may not cover, the seed is refused and the listing made again;
- a gap right after a seed is in the log itself, every reader drops it; any other gap unseeds the
  task, so that it is read again from S3.
"""

import heapq
from collections import OrderedDict
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from api.log.task_tail import Tail, TailFacts, TailView, strip_payload, weight
from streamproc.contract.fold import Fold
from streamproc.contract.records import ChunkRecord


class Ticket(NamedTuple):
    """What a task had lost when its segments were about to be listed."""

    floor: int
    birth: int


class TaskPlace(NamedTuple):
    """A task whose records take room here: whose it is and where it is written."""

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
        self._n_asked = 0
        self._stuck = False

    @property
    def size_bytes(self) -> int:
        return self._size_bytes

    @property
    def saturated(self) -> bool:
        """The archive lags so far that taking more would break the budget twice over."""
        return self._size_bytes > 2 * self._budget_bytes

    @property
    def is_stuck(self) -> bool:
        """More than the budget is here, and nothing of it is known to be archived."""
        return self._stuck

    def start(self, partition: int, position: int) -> None:
        """Begin a partition at Kafka offset `position`: all before it is in S3, or is gone."""
        self._positions[partition] = self._archived[partition] = position

    def position(self, partition: int) -> int:
        """Return the Kafka offset before which everything was taken in; KeyError before start."""
        return self._positions[partition]

    def feed(self, partition: int, records: Iterable[ChunkRecord], position: int) -> set[str]:
        """Take a batch that ends before Kafka offset `position`; return the tasks it touched.

        Records that were fed before are left out. A batch may hold records of many tasks.
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
            self._size_bytes += weight(kept)
            self.n_gaps += tail.add(kept)
            touched.add(kept.task)
        self._positions[partition] = max(at, position)
        self._evict()
        return touched

    def archive_position(self, partition: int) -> int:
        """Return the Kafka offset before which everything is known to be in S3."""
        return self._archived[partition]

    def archived(self, positions: Mapping[int, int]) -> None:
        """Note the Kafka offset of each partition before which everything is in S3."""
        for partition, position in positions.items():
            self._archived[partition] = max(self._archived[partition], position)
        self._stuck = False
        self._evict()

    def stored(self, task: str, fold: Fold) -> None:
        """Note what S3 holds of one task: the fold after its last segment."""
        tail = self._tails.get(task)
        if tail is not None:
            tail.note_stored(fold)
            self._stuck = False
            self._evict()

    def unproven(self, limit: int) -> list[TaskPlace]:
        """Return tasks to list in S3 (see `stored`), none while what is known frees enough.

        They are the ones that were not asked for the longest, the largest of them first. A task
        of claims alone is none of them: it takes no room to speak of.
        """
        if not self._stuck:
            return []
        found = heapq.nsmallest(
            limit,
            (
                (tail.asked, -tail.size_bytes, task)
                for task, tail in self._holding.items()
                if tail.n_written
            ),
        )
        self._n_asked += 1
        for _, _, task in found:
            self._tails[task].asked = self._n_asked
        return [
            TaskPlace(self._tails[task].project, task, self._tails[task].partition)
            for _, _, task in found
        ]

    def ticket(self, task: str, partition: int) -> Ticket:
        """Return what the task has lost here: take it before listing its segments."""
        tail = self._tail(task, partition)
        self._rest(task, tail)
        return Ticket(tail.floor, tail.birth)

    def seed(self, task: str, ticket: Ticket, fold: Fold, started_ms: int | None = None) -> bool:
        """Plant what S3 knew after `ticket` was taken; False: list again with a new ticket.

        Every record of the task from max(ticket's floor, fold.position) on must still be here.
        A task that is seeded stays as it is.
        """
        tail = self._tails.get(task)
        if tail is None or tail.birth != ticket.birth:
            return False  # it was forgotten, and with it what it lost
        if tail.floor > max(ticket.floor, fold.position):
            return False
        if tail.fold is None:
            tail.restore(fold, started_ms)
        tail.note_stored(fold)
        self._rest(task, tail)
        return True

    def view(self, task: str) -> TailView | None:
        """Return what can be read of the task here; None when it is not seeded."""
        tail = self._tails.get(task)
        return None if tail is None else tail.view()

    def facts(self, task: str) -> TailFacts:
        tail = self._tails.get(task)
        return TailFacts() if tail is None else tail.facts()

    def read(self, task: str, offset: int, limit_bytes: int) -> bytes:
        """Return log bytes from `offset` on: at least one, at most `limit_bytes` or one record.

        Raises KeyError unless the task's view holds `offset` in `[start, end)`.
        """
        tail = self._tails.get(task)
        if tail is None or tail.fold is None or not tail.start <= offset < tail.fold.next_off:
            raise KeyError(f"the ring does not hold byte {offset}")
        return tail.read(offset, limit_bytes)

    def watch(self, task: str, partition: int) -> None:
        """Keep the task's state while a reader waits for it; every `watch` needs an `unwatch`."""
        self._tail(task, partition).n_watchers += 1
        self._idle.pop(task, None)

    def unwatch(self, task: str) -> None:
        tail = self._tails[task]
        tail.n_watchers -= 1
        self._rest(task, tail)

    def _tail(self, task: str, partition: int) -> Tail:
        tail = self._tails.get(task)
        if tail is None:
            self._n_born += 1
            tail = self._tails[task] = Tail(partition, self._n_born)
        return tail

    def _rest(self, task: str, tail: Tail) -> None:
        """Note a task that has no record and no reader; the longest unused are forgotten."""
        if tail.records or tail.n_watchers:
            return
        self._idle[task] = None
        self._idle.move_to_end(task)
        while len(self._idle) > self._max_idle_tasks:
            forgotten, _ = self._idle.popitem(last=False)
            del self._tails[forgotten]

    def _evict(self) -> None:
        """Once over the budget, let what is archived go, oldest first, until an eighth is free.

        The eighth, and that nothing is looked for twice (`stuck`), make it cheap per record.
        """
        if self._stuck or self._size_bytes <= self._budget_bytes:
            return
        goal_bytes = self._budget_bytes - self._budget_bytes // 8
        oldest = [
            (tail.records[0].time_ms, tail.birth, task)
            for task, tail in self._holding.items()
            if self._may_leave(tail)
        ]
        heapq.heapify(oldest)
        while oldest and self._size_bytes > goal_bytes:
            _, birth, task = oldest[0]
            tail = self._holding[task]
            self._size_bytes -= weight(tail.drop_first())
            if self._may_leave(tail):
                heapq.heapreplace(oldest, (tail.records[0].time_ms, birth, task))
                continue
            heapq.heappop(oldest)
            if not tail.records:
                del self._holding[task]
                self._rest(task, tail)
        self._stuck = self._size_bytes > self._budget_bytes

    def _may_leave(self, tail: Tail) -> bool:
        """Return whether the task's oldest record is archived."""
        if not tail.records:
            return False
        return tail.records[0].position < max(self._archived[tail.partition], tail.stored)
