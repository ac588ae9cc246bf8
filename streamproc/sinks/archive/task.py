"""One task's archive state: its fold, the bytes not yet in S3, and the offset that it holds."""

import enum
import hashlib
from collections import deque
from typing import Any

from streamproc.contract.fold import Fold, Verdict, step
from streamproc.contract.framing import parse_events
from streamproc.contract.object_keys import Final, SegmentInfo
from streamproc.contract.records import Attempt, ChunkRecord, decode_claim
from streamproc.sinks.archive.actions import PutSegment, PutVectors, VectorEntry
from streamproc.sinks.archive.final import final_of

FLUSH_BYTES = 1024 * 1024
FLUSH_AFTER_S = 1.0


class Phase(enum.Enum):
    """What a task waits for; READY: only for more records."""

    SEEDING = "seeding"
    READY = "ready"
    STORING = "storing"
    FINAL = "final"


class TaskArchive:
    """Mutable state of one task in an `Archiver`, its only caller."""

    def __init__(self, task: str, project: str) -> None:
        self.id = task
        self.project = project
        self.phase = Phase.SEEDING
        self.fold = Fold()
        self.queue: list[ChunkRecord] = []  # not folded yet: they wait for an outcome
        self.buffer: deque[ChunkRecord] = deque()  # accepted, not in a stored segment
        self.stored_end = 0
        self.started_ms: int | None = None
        self.finished_ms: int | None = None
        self.attempts: tuple[Attempt, ...] = ()
        self.reseeded = True  # whether S3 was read since the last accepted record
        self.sought_from: int | None = None
        self._claims: list[int] = []  # positions of claims after the last stored record
        self._since_s = 0.0
        self._closing: int | None = None  # offset of a closed log that has no final.json
        self._stored_frame = -1
        self._digest: Any = hashlib.sha256()  # None: the log's start was not seen
        self._first = b""
        self._terminal = b""

    @property
    def buffered_bytes(self) -> int:
        return sum(len(r.value) + len(r.vectors or b"") for r in (*self.buffer, *self.queue))

    @property
    def is_idle(self) -> bool:
        return self.phase is Phase.READY and not self.buffer and not self.queue

    def hold(self) -> int | None:
        """Return the first Kafka offset that a restarted archiver must read, None if none."""
        places = [*self._claims[:1]]
        if self.queue:
            places.append(self.queue[0].position)
        if self.buffer:
            places.append(self.buffer[0].position)
        if self._closing is not None:
            places.append(self._closing)
        return min(places, default=None)

    def seeded(self, end: int, info: SegmentInfo | None) -> None:
        """Apply the part of the log that S3 has."""
        self.phase = Phase.READY
        if info is not None and end > self.stored_end:
            self.stored(end, info)

    def reseed(self, records: list[ChunkRecord]) -> None:
        self.phase = Phase.SEEDING
        self.reseeded = True
        self.queue = [*records, *self.queue]

    def queue_behind(self, records: list[ChunkRecord]) -> None:
        self.queue += records

    def fold_record(self, record: ChunkRecord, now_s: float) -> Verdict:
        if self.queue and self.phase is not Phase.READY:
            return Verdict.GAP  # an earlier record of the task waits: keep the order
        self.fold, verdict = step(self.fold, record)
        if verdict is Verdict.GAP:
            return verdict
        if self.started_ms is None:
            self.started_ms = record.time_ms
        if self.fold.closed and record.kind == "terminal" and record.epoch == self.fold.epoch:
            self.finished_ms = record.time_ms
        if verdict is Verdict.CLAIMED:
            self._claims.append(record.position)
            claim = decode_claim(record.value)
            self.attempts = (claim.attempts if claim else ()) or self.attempts
        elif verdict is Verdict.ACCEPTED:
            self.reseeded = False
            self.sought_from = None
            if not self.buffer:
                self._since_s = now_s
            self.buffer.append(record)
            if self.fold.closed:
                self._closing = record.position
        return verdict

    def is_due(self, now_s: float, *, flushing: bool) -> bool:
        if not self.buffer:
            return False
        if flushing or self.fold.closed or now_s - self._since_s >= FLUSH_AFTER_S:
            return True
        return self.fold.next_off - self.stored_end >= FLUSH_BYTES

    def flush(self, now_s: float) -> PutVectors | PutSegment:
        """Return the first action that stores the buffer's start, about `FLUSH_BYTES` of it."""
        end = self.stored_end
        entries = []
        for record in self.buffer:
            end = record.end
            if record.vectors is not None:
                entries.append(VectorEntry(record.end, record.frame, record.vectors))
            if end - self.stored_end >= FLUSH_BYTES:
                break
        self._since_s = now_s
        self.phase = Phase.STORING
        if entries:
            return PutVectors(self.id, self.project, self.stored_end, end, tuple(entries))
        return self.segment(upto=end)

    def segment(self, upto: int) -> PutSegment:
        """Return the PUT of the buffered records that end at `upto` or before.

        Raises ValueError if there is none: a sidecar ends inside a record.
        """
        taken = [record for record in self.buffer if record.end <= upto]
        if not taken:
            raise ValueError(f"a sidecar ends at byte {upto}, inside a record")
        last = taken[-1]
        info = SegmentInfo(
            epoch=last.epoch,
            next_seq=last.seq + 1,
            last_frame=max(self._stored_frame, *(record.frame for record in taken)),
            next_position=last.position + 1,
            started_ms=self.started_ms or 0,
            closed=last.kind == "terminal",
            attempts=self.attempts,
        )
        body = b"".join(record.value for record in taken)
        return PutSegment(self.id, self.project, self.stored_end, body, info)

    def stored(self, end: int, info: SegmentInfo) -> None:
        """Record that bytes up to `end` are in S3, ours or another archiver's; `info`: fold there.

        Raises ValueError if `end` is inside one of our records.
        """
        self.phase = Phase.READY
        while self.buffer and self.buffer[0].end <= end:
            record = self.buffer.popleft()
            self._digest_record(record)
        if self.buffer and self.buffer[0].off < end:
            raise ValueError(f"a segment ends at byte {end}, inside a record")
        if end > self.fold.next_off:
            self.fold = Fold(
                position=max(self.fold.position, info.next_position),
                epoch=max(self.fold.epoch, info.epoch),
                next_off=end,
                next_seq=info.next_seq,
                last_frame=info.last_frame,
                closed=info.closed,
            )
            self._digest = None
        self.stored_end = end
        self._stored_frame = info.last_frame
        self.started_ms = info.started_ms
        self.attempts = self.attempts or info.attempts
        self._claims = [position for position in self._claims if position >= info.next_position]
        if self.fold.closed and self._closing is None:
            self._closing = min([info.next_position - 1, *(r.position for r in self.queue)])

    def final(self) -> Final | None:
        """Return `final.json`, None if the log's start must be read back first."""
        if self._digest is None:
            return None
        return final_of(
            first=self._first,
            terminal=self._terminal,
            length=self.stored_end,
            sha256=self._digest.hexdigest(),
            started_ms=self.started_ms or 0,
            finished_ms=self.finished_ms,
            attempts=self.attempts,
        )

    def _digest_record(self, record: ChunkRecord) -> None:
        if self._digest is None:
            return
        self._digest.update(record.value)
        if record.off == 0:
            self._first = _first_event(record.value, 0)
        if record.kind == "terminal":
            self._terminal = _first_event(record.value, record.off)


def _first_event(value: bytes, start: int) -> bytes:
    try:
        event = next(parse_events(value, start), None)
    except ValueError:
        return b""
    return b"" if event is None else event.data
