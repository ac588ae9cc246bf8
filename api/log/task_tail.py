"""One task's part of the tail cache: its Kafka records and, once seeded, its log bytes.

A state machine of its own: `TailCache` routes records and S3's answers to it, and decides only
which task evicts next.
"""

from bisect import bisect_left, bisect_right
from collections import deque
from itertools import islice
from typing import NamedTuple

import msgspec

from streamproc.contract.chunk import captured_ms
from streamproc.contract.fold import Fold, Verdict, step
from streamproc.contract.framing import event_data
from streamproc.contract.records import ChunkRecord, started_ms

RECORD_OVERHEAD_BYTES = 600
_COMPACT_AFTER = 256
_EVERYTHING = 1 << 63


class TailView(NamedTuple):
    """View of a seeded task: log bytes `[start, end)` can be read from the tail cache.

    `n_records` is the number of records in `[0, end)`, including the terminal.
    """

    start: int
    end: int
    closed: bool
    n_records: int = 0


class Ticket(NamedTuple):
    """Eviction state of a task before its segments are listed; see `Tail`."""

    low_watermark: int
    generation: int


class TailFacts(NamedTuple):
    """Facts about a task from its cached records, other than its bytes.

    `claim` is the newest claim's value. `first` has the bytes of the log's first record, `last`
    those of the newest accepted one, if this process saw them. Times are Unix milliseconds.
    """

    claim: bytes | None = None
    first: bytes | None = None
    last: bytes | None = None
    started_ms: int | None = None
    finished_ms: int | None = None


class Tail:
    """One task's tail.

    The task's records before Kafka offset `low_watermark` are evicted; `stored` is the Kafka offset
    before which S3 is known to hold them. `generation` differs from that of an earlier, dropped
    tail of the same task.
    """

    __slots__ = (
        "_accepted",
        "_claim",
        "_dropped_gap",
        "_finished_ms",
        "_first",
        "_fold",
        "_head",
        "_last",
        "_low_watermark",
        "_n_watchers",
        "_n_written",
        "_records",
        "_start",
        "_started_ms",
        "_stored",
        "generation",
        "partition",
        "project",
        "size_bytes",
    )

    def __init__(self, partition: int, generation: int) -> None:
        self.partition = partition
        self.generation = generation
        self.project = ""
        self.size_bytes = 0
        self._records: deque[ChunkRecord] = deque()
        self._n_written = 0  # records other than claims
        self._low_watermark = 0
        self._stored = 0
        self._n_watchers = 0
        self._fold: Fold | None = None
        self._accepted: list[ChunkRecord] = []
        self._head = 0
        self._start = 0
        self._dropped_gap: tuple[int, int] | None = None
        self._claim: bytes | None = None
        self._first: bytes | None = None
        self._last: bytes | None = None
        self._started_ms: int | None = None
        self._finished_ms: int | None = None

    @property
    def is_resting(self) -> bool:
        """Whether the tail has no record and no reader: it may be dropped."""
        return not self._records and not self._n_watchers

    @property
    def is_written(self) -> bool:
        """Whether there are records other than claims."""
        return self._n_written > 0

    @property
    def oldest_ms(self) -> int:
        """Time of the oldest record, in Unix milliseconds; raises IndexError without records."""
        return self._records[0].time_ms

    @property
    def oldest_offset(self) -> int:
        """Log offset at which the oldest record begins, 0 without records."""
        return self._records[0].off if self._records else 0

    def view(self) -> TailView | None:
        """Return the readable range; None if the task is not seeded."""
        if self._fold is None:
            return None
        return TailView(self._start, self._fold.next_off, self._fold.closed, self._fold.next_seq)

    def facts(self) -> TailFacts:
        return TailFacts(self._claim, self._first, self._last, self._started_ms, self._finished_ms)

    def add(self, record: ChunkRecord) -> bool:
        """Add the next Kafka record; fold it if seeded. Return whether there is a gap before it."""
        self.project = record.project
        self._records.append(record)
        self.size_bytes += size_of(record)
        self._n_written += record.kind != "claim"
        return self._take(record)

    def may_evict(self, archived: int) -> bool:
        """Return whether the oldest record is in S3; `archived`: the archive's Kafka offset."""
        return bool(self._records) and self._records[0].position < max(archived, self._stored)

    def evict(self) -> int:
        """Evict the oldest record, whose log bytes can no longer be read here; return its size."""
        record = self._records.popleft()
        freed_bytes = size_of(record)
        self._low_watermark = record.position + 1
        self.size_bytes -= freed_bytes
        self._n_written -= record.kind != "claim"
        if self._head < len(self._accepted) and self._accepted[self._head] is record:
            self._accepted[self._head] = _GONE
            self._head += 1
            self._start = record.end
            if self._head > _COMPACT_AFTER and 2 * self._head > len(self._accepted):
                del self._accepted[: self._head]
                self._head = 0
        return freed_bytes

    def ticket(self) -> Ticket:
        return Ticket(self._low_watermark, self.generation)

    def seed(self, ticket: Ticket, fold: Fold, started_ms: int | None) -> bool:
        """Restore the state that S3 has, listed after `ticket`, and fold the records onto it.

        Return False if records were evicted since the ticket that the listing may not cover. A
        seeded tail keeps its state.
        """
        if ticket.generation != self.generation:
            return False  # the tail was dropped, so its evictions are not known any more
        if self._low_watermark > max(ticket.low_watermark, fold.position):
            return False
        if self._fold is None:
            self._restore(fold, started_ms)
        self.note_stored(fold)
        return True

    def note_stored(self, fold: Fold) -> None:
        """Record what S3 holds: all before the fold of the last segment; all, if it is closed."""
        self._stored = max(self._stored, _EVERYTHING if fold.closed else fold.position)

    def watch(self) -> None:
        """Count a reader that waits; every `watch` needs an `unwatch`."""
        self._n_watchers += 1

    def unwatch(self) -> None:
        self._n_watchers -= 1

    def read(self, offset: int, limit_bytes: int) -> bytes:
        """Return log bytes from `offset` on: at least one, at most `limit_bytes` or one record.

        Raises KeyError unless `offset` is in `[start, end)` of the view.
        """
        if self._fold is None or not self._start <= offset < self._fold.next_off:
            raise KeyError(f"the tail cache does not hold byte {offset}")
        accepted = self._accepted
        at = bisect_right(accepted, offset, lo=self._head, key=_offset) - 1
        first = accepted[at]
        value = first.value[offset - first.off :]
        if len(value) >= limit_bytes or at + 1 == len(accepted):
            return value
        pieces = [value]
        room_bytes = limit_bytes - len(value)
        for index in range(at + 1, len(accepted)):
            value = accepted[index].value
            room_bytes -= len(value)
            if room_bytes < 0:
                break
            pieces.append(value)
        return b"".join(pieces)

    def offset_at(self, time_ms: int) -> int | None:
        """Return where the first readable record of a frame of `time_ms` or later begins.

        A frame is captured before it is written. None: there is no such record.
        """
        accepted = self._accepted
        at = bisect_left(accepted, time_ms, lo=self._head, key=_time_ms)
        for record in islice(accepted, at, None):
            captured = captured_ms(event_data(record.value))
            if captured is None or captured >= time_ms:
                return record.off
        return None

    def _restore(self, fold: Fold, started_ms: int | None) -> None:
        self._fold = fold
        self._accepted.clear()
        self._head = 0
        self._start = fold.next_off
        self._started_ms = started_ms
        for record in self._records:
            self._take(record, planted=True)

    def _take(self, record: ChunkRecord, *, planted: bool = False) -> bool:
        """Fold one record if the task is seeded; return whether there is a gap before it."""
        if self._fold is None:
            return False
        before = self._fold
        self._fold, verdict = step(before, record)
        if verdict is Verdict.GAP:
            return self._gap(before, planted=planted)
        if verdict is Verdict.CLAIMED:
            self._claim = record.value
            if self._started_ms is None:
                self._started_ms = started_ms(record)
        elif verdict is Verdict.ACCEPTED:
            self._accepted.append(record)
            if record.off == 0:
                self._first = record.value
            self._last = record.value
            if self._started_ms is None:
                self._started_ms = started_ms(record)
            if self._fold.closed:
                self._finished_ms = record.time_ms
        elif verdict is Verdict.SEEN and record.kind == "claim":
            self._claim = record.value
        return False

    def _gap(self, fold: Fold, *, planted: bool) -> bool:
        place = (fold.epoch, fold.next_off)
        if planted:
            self._dropped_gap = place
        elif place != self._dropped_gap:
            self._fold = None
        return True


def size_of(record: ChunkRecord) -> int:
    """Return the size of a cached record, in bytes of the budget."""
    return len(record.value) + RECORD_OVERHEAD_BYTES


def strip_payload(record: ChunkRecord) -> ChunkRecord:
    """Return the record without the payload that only workers and the index read."""
    if record.ckpt is None and record.vectors is None and record.pin is None:
        return record
    return msgspec.structs.replace(record, ckpt=None, vectors=None, pin=None)


def _time_ms(record: ChunkRecord) -> int:
    return record.time_ms


def _offset(record: ChunkRecord) -> int:
    return record.off


_GONE = ChunkRecord("", "", "claim", -1, -1, -1, -1, -1, b"")  # tombstone of an evicted one
