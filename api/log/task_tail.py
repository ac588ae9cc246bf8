"""One task's tail: its records as Kafka gave them, and once seeded the log bytes they make."""

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

    claim: bytes | None = None
    first: bytes | None = None
    last: bytes | None = None
    started_ms: int | None = None
    finished_ms: int | None = None


class Tail:
    """The mutable state of one task within a `TailCache`, which alone calls it.

    Of the task's records that Kafka gave, those before Kafka offset `floor` have left; `stored`
    is the Kafka offset before which S3 is known to hold them. `birth` tells it from an earlier
    tail of the same task, which was forgotten.
    """

    __slots__ = (
        "accepted",
        "asked",
        "birth",
        "claim",
        "dropped_gap",
        "finished_ms",
        "first",
        "floor",
        "fold",
        "head",
        "last",
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

    def __init__(self, partition: int, birth: int) -> None:
        self.partition = partition
        self.birth = birth
        self.project = ""
        self.records: deque[ChunkRecord] = deque()
        self.size_bytes = 0
        self.n_written = 0  # records that are no claims
        self.floor = 0
        self.stored = 0
        self.asked = 0  # the round in which S3 was last asked for it
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
        """Keep the next record of Kafka, and fold it when seeded; return whether it left a gap."""
        self.project = record.project
        self.records.append(record)
        self.size_bytes += weight(record)
        self.n_written += record.kind != "claim"
        return self._take(record)

    def drop_first(self) -> ChunkRecord:
        """Let the oldest record go; what was accepted of it is no longer read here."""
        record = self.records.popleft()
        self.floor = record.position + 1
        self.size_bytes -= weight(record)
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
        """Note what S3 holds: the fold after the last segment; of a closed log, all there is."""
        self.stored = max(self.stored, _EVERYTHING if fold.closed else fold.position)

    def restore(self, fold: Fold, started_ms: int | None) -> None:
        """Fold the records onto `fold`, which is complete up to the floor."""
        self.fold = fold
        self.accepted.clear()
        self.head = 0
        self.start = fold.next_off
        self.started_ms = started_ms
        for record in self.records:
            self._take(record, planted=True)

    def read(self, offset: int, limit_bytes: int) -> bytes:
        """Return bytes from `offset` in `[start, end)` on: see `TailCache.read`."""
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
        """Fold one record of a seeded task; return whether it left a gap."""
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


def weight(record: ChunkRecord) -> int:
    """Return how many bytes a kept record counts for."""
    return len(record.value) + RECORD_OVERHEAD_BYTES


def strip_payload(record: ChunkRecord) -> ChunkRecord:
    """Return the record without what only workers and the index read."""
    if record.ckpt is None and record.vectors is None and record.pin is None:
        return record
    return msgspec.structs.replace(record, ckpt=None, vectors=None, pin=None)


def _offset(record: ChunkRecord) -> int:
    return record.off


_GONE = ChunkRecord("", "", "claim", -1, -1, -1, -1, -1, b"")  # in the place of one that left
