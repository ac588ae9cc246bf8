"""The tail of every task: records as Kafka gives them, folded, kept until archived and unwanted.

A state machine without clock or socket. One ring per partition holds every record from `floor` on;
each task sees its own records of that ring. A task is *unseeded* until a reader asks for it: then
the state that S3 knows is planted (`seed`) and the ring's records are folded onto it. From there
on its accepted bytes can be read by offset, by any number of readers: they hold cursors, the
bytes are here once.

Rules that make the seam between S3 and the ring exact:

- only records before the archive's committed offset leave the ring, oldest first, so a listing
  that is made after a record left the ring shows its bytes;
- `ticket` is taken before the listing and given to `seed`: when the ring has meanwhile lost
  records that the listing may not cover, the seed is refused and the listing made again;
- a gap right after a seed is in the log itself, every reader drops it; any other gap unseeds the
  task, so that it is read again from S3.
"""

from bisect import bisect_right
from collections import OrderedDict, deque
from collections.abc import Iterable
from typing import NamedTuple

import msgspec

from streamproc.contract.fold import Fold, Verdict, step
from streamproc.contract.records import ChunkRecord

RECORD_OVERHEAD_BYTES = 600
_COMPACT_AFTER = 256


class TailView(NamedTuple):
    """What the ring knows of a seeded task: log bytes `[start, end)` can be read here.

    `n_records` is how many records make up `[0, end)`, the terminal among them.
    """

    start: int
    end: int
    closed: bool
    n_records: int = 0


class TailFacts(NamedTuple):
    """What the ring's records tell of a task beyond its bytes.

    `claim` is the newest claim's value, `first` and `last` the bytes of the first and the newest
    accepted record that this process saw; times are Unix milliseconds.
    """

    claim: bytes | None
    first: bytes | None
    last: bytes | None
    started_ms: int | None
    finished_ms: int | None


class Hub:
    """The rings of all partitions, within one budget of bytes."""

    def __init__(self, budget_bytes: int, *, max_idle_tasks: int = 4096) -> None:
        self.n_gaps = 0
        self._budget_bytes = budget_bytes
        self._max_idle_tasks = max_idle_tasks
        self._size_bytes = 0
        self._rings: dict[int, _Ring] = {}
        self._tails: dict[str, _Tail] = {}
        self._idle: OrderedDict[str, None] = OrderedDict()

    @property
    def size_bytes(self) -> int:
        return self._size_bytes

    @property
    def saturated(self) -> bool:
        """The archive lags so far that taking more would break the budget twice over."""
        return self._size_bytes > 2 * self._budget_bytes

    def start(self, partition: int, position: int) -> None:
        """Begin a partition at Kafka offset `position`: all before it is in S3, or is gone."""
        self._rings[partition] = _Ring(floor=position, position=position, archived=position)

    def position(self, partition: int) -> int:
        """Return the Kafka offset before which everything was taken in; KeyError before start."""
        return self._rings[partition].position

    def feed(self, partition: int, records: Iterable[ChunkRecord], position: int) -> set[str]:
        """Take a batch that ends before Kafka offset `position`; return the tasks it touched.

        Records that were fed before are left out. A batch may hold records of many tasks.
        """
        ring = self._rings[partition]
        touched: set[str] = set()
        for record in records:
            if record.position < ring.position:
                continue
            kept = _without_cargo(record)
            ring.records.append(kept)
            ring.position = kept.position + 1
            self._size_bytes += _weight(kept)
            tail = self._tail(kept.task, partition)
            self._idle.pop(kept.task, None)
            tail.records.append(kept)
            if tail.fold is not None:
                self.n_gaps += tail.take(kept)
            touched.add(kept.task)
        ring.position = max(ring.position, position)
        self._evict()
        return touched

    def archived(self, partition: int, position: int) -> None:
        """Note that everything before Kafka offset `position` is in S3."""
        ring = self._rings[partition]
        ring.archived = max(ring.archived, min(position, ring.position))
        self._evict()

    def ticket(self, partition: int) -> int:
        """Return the ring's floor: take it before listing the task's segments."""
        return self._rings[partition].floor

    def seed(
        self, task: str, partition: int, ticket: int, fold: Fold, started_ms: int | None = None
    ) -> bool:
        """Plant what S3 knew after `ticket` was taken; False: list again with a new ticket.

        Every record from max(ticket, fold.position) on must still be in the ring. A task that is
        seeded stays as it is.
        """
        if self._rings[partition].floor > max(ticket, fold.position):
            return False
        tail = self._tail(task, partition)
        if tail.fold is None:
            tail.plant(fold, started_ms)
        self._rest(task, tail)
        return True

    def view(self, task: str) -> TailView | None:
        """Return what can be read of the task here; None when it is not seeded."""
        tail = self._tails.get(task)
        if tail is None or tail.fold is None:
            return None
        return TailView(tail.start, tail.fold.next_off, tail.fold.closed, tail.fold.next_seq)

    def facts(self, task: str) -> TailFacts:
        tail = self._tails.get(task)
        return TailFacts(None, None, None, None, None) if tail is None else tail.facts()

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

    def _tail(self, task: str, partition: int) -> "_Tail":
        tail = self._tails.get(task)
        if tail is None:
            tail = self._tails[task] = _Tail(partition)
        return tail

    def _rest(self, task: str, tail: "_Tail") -> None:
        """Note a task that has no record and no reader; the longest unused are forgotten."""
        if tail.records or tail.n_watchers:
            return
        self._idle[task] = None
        self._idle.move_to_end(task)
        while len(self._idle) > self._max_idle_tasks:
            forgotten, _ = self._idle.popitem(last=False)
            del self._tails[forgotten]

    def _evict(self) -> None:
        while self._size_bytes > self._budget_bytes:
            ring = min(
                (ring for ring in self._rings.values() if ring.may_evict),
                key=lambda ring: ring.records[0].time_ms,
                default=None,
            )
            if ring is None:
                return
            record = ring.records.popleft()
            ring.floor = record.position + 1
            self._size_bytes -= _weight(record)
            tail = self._tails[record.task]
            tail.drop_first()
            self._rest(record.task, tail)


class _Ring:
    """One partition: its records from `floor` up to `position`, in Kafka's order."""

    __slots__ = ("archived", "floor", "position", "records")

    def __init__(self, floor: int, position: int, archived: int) -> None:
        self.floor = floor
        self.position = position
        self.archived = archived
        self.records: deque[ChunkRecord] = deque()

    @property
    def may_evict(self) -> bool:
        return bool(self.records) and self.records[0].position < self.archived


class _Tail:
    """One task: its records of the ring, and once seeded their fold and the accepted ones."""

    __slots__ = (
        "accepted",
        "claim",
        "dropped_gap",
        "finished_ms",
        "first",
        "fold",
        "head",
        "last",
        "n_watchers",
        "partition",
        "records",
        "start",
        "started_ms",
    )

    def __init__(self, partition: int) -> None:
        self.partition = partition
        self.records: deque[ChunkRecord] = deque()
        self.fold: Fold | None = None
        self.accepted: list[ChunkRecord] = []
        self.head = 0
        self.start = 0
        self.n_watchers = 0
        self.dropped_gap: tuple[int, int] | None = None
        self.claim: bytes | None = None
        self.first: bytes | None = None
        self.last: bytes | None = None
        self.started_ms: int | None = None
        self.finished_ms: int | None = None

    def plant(self, fold: Fold, started_ms: int | None) -> None:
        """Fold the ring's records onto `fold`, which is complete up to the ring's floor."""
        self.fold = fold
        self.accepted.clear()
        self.head = 0
        self.start = fold.next_off
        self.started_ms = started_ms
        for record in self.records:
            self.take(record, planted=True)

    def take(self, record: ChunkRecord, *, planted: bool = False) -> bool:
        """Fold one record; return whether it left a gap."""
        if self.fold is None:
            return False
        before = self.fold
        self.fold, verdict = step(before, record)
        if verdict is Verdict.GAP:
            return self._gap(before, planted=planted)
        if verdict is Verdict.CLAIMED:
            self.claim = record.value
            if self.started_ms is None:
                self.started_ms = record.time_ms
        elif verdict is Verdict.ACCEPTED:
            self.accepted.append(record)
            if record.off == 0:
                self.first = record.value
            self.last = record.value
            if self.started_ms is None:
                self.started_ms = record.time_ms
            if self.fold.closed:
                self.finished_ms = record.time_ms
        elif verdict is Verdict.SEEN and record.kind == "claim":
            self.claim = record.value
        return False

    def read(self, offset: int, limit_bytes: int) -> bytes:
        at = bisect_right(self.accepted, offset, lo=self.head, key=_offset) - 1
        first = self.accepted[at]
        value = first.value[offset - first.off :]
        if len(value) >= limit_bytes or at + 1 == len(self.accepted):
            return value
        pieces = [value]
        room_bytes = limit_bytes - len(value)
        for index in range(at + 1, len(self.accepted)):
            value = self.accepted[index].value
            room_bytes -= len(value)
            if room_bytes < 0:
                break
            pieces.append(value)
        return b"".join(pieces)

    def drop_first(self) -> None:
        """Let the oldest record go; what was accepted of it is no longer read here."""
        record = self.records.popleft()
        if self.head < len(self.accepted) and self.accepted[self.head] is record:
            self.head += 1
            self.start = record.end
            if self.head > _COMPACT_AFTER and 2 * self.head > len(self.accepted):
                del self.accepted[: self.head]
                self.head = 0

    def facts(self) -> TailFacts:
        return TailFacts(self.claim, self.first, self.last, self.started_ms, self.finished_ms)

    def _gap(self, fold: Fold, *, planted: bool) -> bool:
        place = (fold.epoch, fold.next_off)
        if planted:
            self.dropped_gap = place
        elif place != self.dropped_gap:
            self.fold = None
        return True


def _offset(record: ChunkRecord) -> int:
    return record.off


def _weight(record: ChunkRecord) -> int:
    return len(record.value) + RECORD_OVERHEAD_BYTES


def _without_cargo(record: ChunkRecord) -> ChunkRecord:
    """Return the record without what only workers and the index read."""
    if record.ckpt is None and record.vectors is None and record.pin is None:
        return record
    return msgspec.structs.replace(record, ckpt=None, vectors=None, pin=None)
