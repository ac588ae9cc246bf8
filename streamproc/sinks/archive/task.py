"""The archiver of one task, sans-IO: its records and the outcomes of its actions in, actions out.

The only state machine of the archive: the partition's `Archiver` routes to it, and reads nothing
but its `hold`. At most one action of the task is in progress; it decides the phase.
"""

import enum
from collections import deque

from streamproc.contract.chunk import captured_ms
from streamproc.contract.fold import Fold, Verdict, step
from streamproc.contract.framing import event_data
from streamproc.contract.object_keys import MAX_HASHED_BYTES, Final, SegmentInfo
from streamproc.contract.records import Attempt, ChunkRecord, decode_claim, started_ms
from streamproc.sinks.archive.actions import (
    Action,
    FinalStored,
    GiveUp,
    LogRead,
    Outcome,
    PutFinal,
    PutSegment,
    PutVectors,
    ReadLog,
    Seed,
    Seeded,
    Seek,
    SegmentStored,
    TaskDamaged,
    VectorEntry,
    VectorsStored,
)
from streamproc.sinks.archive.final import final_of
from streamproc.sinks.archive.live import FLUSH_AFTER_S, flush_after_s
from streamproc.sinks.archive.log_digest import LogDigest

FLUSH_BYTES = 1024 * 1024


class _Phase(enum.Enum):
    """What the task waits for; READY: only for more records."""

    NEW = "new"
    SEEDING = "seeding"
    READY = "ready"
    STORING = "storing"
    FINAL = "final"
    FINISHED = "finished"


class TaskArchive:
    """One task's records on their way to S3.

    `accept` and `done` return the actions that their argument causes; if there are none, `tick` has
    the flush that may be due now. All three raise ValueError if the task's records or objects are
    inconsistent: then give it up. Times are seconds of any monotonic clock.
    """

    def __init__(self, task: str, project: str) -> None:
        self._id = task
        self._project = project
        self._phase = _Phase.NEW
        self._fold = Fold()
        self._queue: list[ChunkRecord] = []  # not folded: they wait for an outcome; READY: none
        self._buffer: deque[ChunkRecord] = deque()  # accepted, not in a stored segment
        self._stored_end = 0
        self._started_ms: int | None = None
        self._finished_ms: int | None = None
        self._attempts: tuple[Attempt, ...] = ()
        self._reseeded = True  # whether S3 was read since the last accepted record
        self._sought_from: int | None = None
        self._claim: int | None = None  # position of the newest one after the last stored record
        self._since_s = 0.0
        self._closing: int | None = None  # offset of a closed log that has no final.json
        self._stored_frame = -1
        self._buffer_bytes = 0
        self._digest = LogDigest()
        self._provider: str | None = None
        self._is_live = False
        self._has_vectors = False

    @property
    def buffered_bytes(self) -> int:
        """Bytes of the records that wait for S3."""
        return self._buffer_bytes + sum(map(_size_of, self._queue))

    @property
    def is_idle(self) -> bool:
        """Whether no record waits for S3; a claim without chunks does not."""
        return self._phase is _Phase.READY and not self._buffer and not self._queue

    @property
    def is_finished(self) -> bool:
        """Whether the task is archived, or given up: it takes no more records."""
        return self._phase is _Phase.FINISHED

    def hold(self) -> int | None:
        """Return the first Kafka offset that a restarted archiver must read, None if none.

        Of claims that no record has followed, the newest one alone counts: it fences them all. So a
        camera that is away for days, whose worker claims it again and again, holds little back.
        """
        places = [] if self._claim is None else [self._claim]
        if self._queue:
            places.append(self._queue[0].position)
        if self._buffer:
            places.append(self._buffer[0].position)
        if self._closing is not None:
            places.append(self._closing)
        return min(places, default=None)

    def accept(self, record: ChunkRecord, now_s: float) -> list[Action]:
        """Process the task's next record, in Kafka order."""
        if self._phase is _Phase.NEW:
            return self._read_store([record])
        if self._phase is _Phase.SEEDING:
            self._queue.append(record)
            return []
        return self._fold_records([record], now_s)

    def tick(self, now_s: float, *, flushing: bool) -> list[Action]:
        """Return the flush that is due now; `flushing`: any buffered record is due.

        A live task's records may wait longer than others (`archive.live`).
        """
        if self._phase is not _Phase.READY:
            return []
        if self._is_due(now_s, flushing=flushing):
            return [self._flush(now_s)]
        if self._fold.closed and not self._buffer:
            return [self._finalize()]
        return []

    def done(self, outcome: Outcome, now_s: float) -> list[Action]:
        """Process the outcome of the action in progress."""
        match outcome:
            case Seeded(final=True) | FinalStored():
                self._phase = _Phase.FINISHED
                return []
            case Seeded():
                self._is_live = outcome.is_live
                if outcome.info is not None and outcome.end > self._stored_end:
                    self._stored(outcome.end, outcome.info)
                return self._resume(now_s)
            case VectorsStored():
                return [self._segment(upto=outcome.end)]
            case SegmentStored():
                self._stored(outcome.end, outcome.info)
                return self._resume(now_s)
            case LogRead():
                final = self._final(outcome.first, outcome.terminal, outcome.sha256)
                return [PutFinal(self._id, self._project, final)]
            case TaskDamaged():
                return self.give_up(outcome.reason)

    def give_up(self, reason: str, code: str = "task_damaged") -> list[Action]:
        """Finish without an archive: the task no longer holds the commit back."""
        self._phase = _Phase.FINISHED
        return [GiveUp(self._id, reason, self._project, self._fold.position - 1, code)]

    def _read_store(self, records: list[ChunkRecord]) -> list[Action]:
        """Read how far S3 has the log, before `records` are folded."""
        self._phase = _Phase.SEEDING
        self._reseeded = True
        self._queue = [*records, *self._queue]
        return [Seed(self._id, self._project, near=records[0].off)]

    def _resume(self, now_s: float) -> list[Action]:
        """Go on after an outcome, with the records that waited for it."""
        self._phase = _Phase.READY
        queue, self._queue = self._queue, []
        return self._fold_records(queue, now_s)

    def _fold_records(self, records: list[ChunkRecord], now_s: float) -> list[Action]:
        for at, record in enumerate(records):
            # An earlier record of the task waits: the order is kept.
            if not self._queue and self._fold_record(record, now_s) is not Verdict.GAP:
                continue
            if self._phase is _Phase.READY:
                return self._repair(records[at:])
            self._queue += records[at:]  # the outcome comes first; then S3 is read again
            return []
        return []

    def _repair(self, records: list[ChunkRecord]) -> list[Action]:
        """Repair a gap: first read S3, then read Kafka again from there, then give up."""
        if not self._reseeded:
            return self._read_store(records)
        position = self._fold.position
        if self._sought_from == position:
            return self.give_up(f"log bytes from {self._fold.next_off} on are not in Kafka")
        self._sought_from = position
        self._reseeded = False
        return [Seek(self._id, position)]

    def _fold_record(self, record: ChunkRecord, now_s: float) -> Verdict:
        self._fold, verdict = step(self._fold, record)
        if verdict is Verdict.GAP:
            return verdict
        if self._started_ms is None:
            self._started_ms = started_ms(record)
        if self._fold.closed and record.kind == "terminal" and record.epoch == self._fold.epoch:
            self._finished_ms = record.time_ms
        if verdict is Verdict.CLAIMED:
            self._claim = record.position
            claim = decode_claim(record.value)
            self._attempts = (claim.attempts if claim else ()) or self._attempts
            self._provider = claim.provider if claim else self._provider
        elif verdict is Verdict.ACCEPTED:
            self._reseeded = False
            self._sought_from = None
            if not self._buffer:
                self._since_s = now_s
            self._buffer.append(record)
            self._buffer_bytes += _size_of(record)
            self._has_vectors = self._has_vectors or record.vectors is not None
            if self._fold.closed:
                self._closing = record.position
        return verdict

    def _is_due(self, now_s: float, *, flushing: bool) -> bool:
        if not self._buffer:
            return False
        if flushing or self._fold.closed or now_s - self._since_s >= self._flush_after_s():
            return True
        return self._fold.next_off - self._stored_end >= FLUSH_BYTES

    def _flush_after_s(self) -> float:
        if not self._is_live:
            return FLUSH_AFTER_S
        age_s = (self._buffer[-1].time_ms - (self._started_ms or 0)) / 1000
        return flush_after_s(age_s, has_vectors=self._has_vectors)

    def _flush(self, now_s: float) -> PutVectors | PutSegment:
        """Return the first action that stores the buffer's start, about `FLUSH_BYTES` of it."""
        end = self._stored_end
        entries = []
        for record in self._buffer:
            end = record.end
            if record.vectors is not None:
                entries.append(VectorEntry(record.end, record.frame, record.vectors))
            if end - self._stored_end >= FLUSH_BYTES:
                break
        self._since_s = now_s
        self._phase = _Phase.STORING
        if entries:
            return PutVectors(self._id, self._project, self._stored_end, end, tuple(entries))
        return self._segment(upto=end)

    def _segment(self, upto: int) -> PutSegment:
        """Return the PUT of the buffered records that end at `upto` or before.

        Raises ValueError if there is none: a sidecar ends inside a record.
        """
        taken = [record for record in self._buffer if record.end <= upto]
        if not taken:
            raise ValueError(f"a sidecar ends at byte {upto}, inside a record")
        last = taken[-1]
        body = b"".join(record.value for record in taken)
        digest, chain = self._digest.segment(self._stored_end, body)
        info = SegmentInfo(
            epoch=last.epoch,
            next_seq=last.seq + 1,
            last_frame=max(self._stored_frame, *(record.frame for record in taken)),
            next_position=last.position + 1,
            started_ms=self._started_ms or 0,
            closed=last.kind == "terminal",
            attempts=self._attempts,
            digest=digest,
            chain=chain,
            first_ms=_time_ms(taken[0]),
            last_ms=_time_ms(last),
            provider=self._provider,
        )
        return PutSegment(self._id, self._project, self._stored_end, body, info)

    def _stored(self, end: int, info: SegmentInfo) -> None:
        """Record that bytes up to `end` are in S3, ours or another archiver's; `info`: fold there.

        Raises ValueError if `end` is inside one of our records.
        """
        while self._buffer and self._buffer[0].end <= end:
            record = self._buffer.popleft()
            self._buffer_bytes -= _size_of(record)
            self._digest.add(record)
        if self._buffer and self._buffer[0].off < end:
            raise ValueError(f"a segment ends at byte {end}, inside a record")
        if end > self._fold.next_off:
            self._fold = Fold(
                position=max(self._fold.position, info.next_position),
                epoch=max(self._fold.epoch, info.epoch),
                next_off=end,
                next_seq=info.next_seq,
                last_frame=info.last_frame,
                closed=info.closed,
            )
            self._digest.skip()
        self._digest.chain = info.chain
        self._stored_end = end
        self._stored_frame = info.last_frame
        self._started_ms = info.started_ms
        self._attempts = self._attempts or info.attempts
        self._provider = self._provider or info.provider
        if self._claim is not None and self._claim < info.next_position:
            self._claim = None
        if self._fold.closed and self._closing is None:
            self._closing = min([info.next_position - 1, *(r.position for r in self._queue)])

    def _finalize(self) -> Action:
        """Return the action that closes the archive, now that every record is stored."""
        self._phase = _Phase.FINAL
        length, digest = self._stored_end, self._digest
        is_short = length <= MAX_HASHED_BYTES
        if not digest.is_whole or not (is_short or digest.chain):
            # The log's start was not seen, or is of an older version: read it back first.
            return ReadLog(self._id, self._project, length, whole=is_short or not digest.chain)
        final = self._final(digest.first, digest.terminal, digest.sha256(length))
        return PutFinal(self._id, self._project, final)

    def _final(self, first: bytes, terminal: bytes, sha256: str | None) -> Final:
        return final_of(
            first=first,
            terminal=terminal,
            length=self._stored_end,
            sha256=sha256,
            started_ms=self._started_ms or 0,
            finished_ms=self._finished_ms,
            attempts=self._attempts,
            chain=self._digest.chain,
            provider=self._provider,
        )


def _time_ms(record: ChunkRecord) -> int:
    """Return when the record's frame was captured, or written if it does not say so."""
    captured = captured_ms(event_data(record.value))
    return record.time_ms if captured is None else captured


def _size_of(record: ChunkRecord) -> int:
    return len(record.value) + len(record.vectors or b"")
