"""One task's part of the tail cache: its Kafka records and, once seeded, its log bytes."""

from bisect import bisect_right
from collections import deque
from typing import NamedTuple

import msgspec

from streamproc.contract.fold import Fold, Verdict, step
from streamproc.contract.records import ChunkRecord

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
    """The mutable state of one task in a `TailCache`, which is its only caller.

    The task's records before Kafka offset `low_watermark` are evicted; `stored` is the Kafka offset
    before which S3 is known to hold them. `generation` differs from that of an earlier, dropped
    tail of the same task.
    """

    __slots__ = (
        "accepted",
        "asked",
        "claim",
        "dropped_gap",
        "finished_ms",
        "first",
        "fold",
        "generation",
        "head",
        "last",
        "low_watermark",
        "n_watchers",
        "n_written",
        "partition",
        "project",
        "records",
        "size_bytes",
        "start",
        "started_ms",
        "stored",
    )

    def __init__(self, partition: int, generation: int) -> None:
        self.partition = partition
        self.generation = generation
        self.project = ""
        self.records: deque[ChunkRecord] = deque()
        self.size_bytes = 0
        self.n_written = 0  # records other than claims
        self.low_watermark = 0
        self.stored = 0
        self.asked = 0  # the round in which `eviction_candidates` last returned the task
        self.n_watchers = 0
        self.fold: Fold | None = None
        self.accepted: list[ChunkRecord] = []
        self.head = 0
        self.start = 0
        self.dropped_gap: tuple[int, int] | None = None
        self.claim: bytes | None = None
        self.first: bytes | None = None
        self.last: bytes | None = None
        self.started_ms: int | None = None
        self.finished_ms: int | None = None

    def view(self) -> TailView | None:
        if self.fold is None:
            return None
        return TailView(self.start, self.fold.next_off, self.fold.closed, self.fold.next_seq)

    def facts(self) -> TailFacts:
        return TailFacts(self.claim, self.first, self.last, self.started_ms, self.finished_ms)

    def add(self, record: ChunkRecord) -> bool:
        """Add the next Kafka record; fold it if seeded. Return whether there is a gap before it."""
        self.project = record.project
        self.records.append(record)
        self.size_bytes += size_of(record)
        self.n_written += record.kind != "claim"
        return self._take(record)

    def drop_first(self) -> ChunkRecord:
        """Evict the oldest record; its log bytes can no longer be read here."""
        record = self.records.popleft()
        self.low_watermark = record.position + 1
        self.size_bytes -= size_of(record)
        self.n_written -= record.kind != "claim"
        if self.head < len(self.accepted) and self.accepted[self.head] is record:
            self.accepted[self.head] = _GONE
            self.head += 1
            self.start = record.end
            if self.head > _COMPACT_AFTER and 2 * self.head > len(self.accepted):
                del self.accepted[: self.head]
                self.head = 0
        return record

    def note_stored(self, fold: Fold) -> None:
        """Record what S3 holds: all before the fold of the last segment; all, if it is closed."""
        self.stored = max(self.stored, _EVERYTHING if fold.closed else fold.position)

    def restore(self, fold: Fold, started_ms: int | None) -> None:
        """Restore the state from `fold`, which is complete up to the floor; fold the records."""
        self.fold = fold
        self.accepted.clear()
        self.head = 0
        self.start = fold.next_off
        self.started_ms = started_ms
        for record in self.records:
            self._take(record, planted=True)

    def read(self, offset: int, limit_bytes: int) -> bytes:
        """Return log bytes from `offset` on, which is in `[start, end)`; see `TailCache.read`."""
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

    def _take(self, record: ChunkRecord, *, planted: bool = False) -> bool:
        """Fold one record if the task is seeded; return whether there is a gap before it."""
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

    def _gap(self, fold: Fold, *, planted: bool) -> bool:
        place = (fold.epoch, fold.next_off)
        if planted:
            self.dropped_gap = place
        elif place != self.dropped_gap:
            self.fold = None
        return True


def size_of(record: ChunkRecord) -> int:
    """Return the size of a cached record, in bytes of the budget."""
    return len(record.value) + RECORD_OVERHEAD_BYTES


def strip_payload(record: ChunkRecord) -> ChunkRecord:
    """Return the record without the payload that only workers and the index read."""
    if record.ckpt is None and record.vectors is None and record.pin is None:
        return record
    return msgspec.structs.replace(record, ckpt=None, vectors=None, pin=None)


def _offset(record: ChunkRecord) -> int:
    return record.off


_GONE = ChunkRecord("", "", "claim", -1, -1, -1, -1, -1, b"")  # tombstone of an evicted one
