"""Task state in a worker: the fold up to its own claim, and which message may continue the task.

Each message of video.tasks starts one slice. It has the slice's number and the epoch of the slice
that wrote it (`parent`, -1 for a submission); a claim repeats both. The pair is the rank of the
message and of the claim. A message may continue if its rank is no lower than the last claim's: it
is the next slice, the same slice again after a crash, or the winner of several possible successors.

Invariant (liveness): there is always an unacknowledged message whose rank is at least the last
claim's, so after any crash some worker continues the task. Proof:
- a message is acknowledged after its slice has written the next one, which ranks higher,
- or after a claim of higher rank was seen, to which the same applies.
This also holds for a claim that reaches the log long after its message was acknowledged: the claim
that it fences ranks higher. The rules are sans-IO: `TaskState` receives records, others read them.
"""

from collections import deque
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import NamedTuple

import msgspec

from streamproc.contract.chunk import Chunk, StreamInfo, decode_chunk
from streamproc.contract.fold import Fold, Verdict, step
from streamproc.contract.framing import parse_events
from streamproc.contract.records import (
    Attempt,
    ChunkRecord,
    Claim,
    Continue,
    FoldPoint,
    Submitted,
    TaskMessage,
    WorkerBeat,
    decode_claim,
    started_ms,
)
from streamproc.errors import TaskStateLostError

ALONE_FROM = 2
"""Workers lost by a slice, from which on it runs alone."""
MAX_LOST_ALONE = 3
"""Workers lost by a slice that ran alone in them, after which its task is ended."""
MAX_SINCE_CHECKPOINT = 4096
"""Events of a live task that are kept for a replay: over a minute of them at 60 per second."""


def submission(message: TaskMessage) -> Submitted:
    return message if isinstance(message, Submitted) else message.submitted


def parent_of(message: TaskMessage) -> int:
    return -1 if isinstance(message, Submitted) else message.parent


def slice_of(message: TaskMessage) -> int:
    return 0 if isinstance(message, Submitted) else message.slice


class Rank(NamedTuple):
    """Order of messages and claims of one task: compares the slice, then the parent."""

    slice: int
    parent: int


def rank_of(claim: Claim) -> Rank:
    return Rank(claim.slice, claim.parent)


class Incarnation(NamedTuple):
    """One worker process: the worker's name and its start time in Unix milliseconds."""

    worker: str
    started_ms: int


class ClaimSeen(NamedTuple):
    """A claim, the log's length at its time, and its time in Unix milliseconds."""

    claim: Claim
    off: int
    time_ms: int


class Suspect(NamedTuple):
    """A process that claimed a slice and wrote nothing; `overtaken_ms` None: no later claim."""

    life: Incarnation
    claimed_ms: int
    overtaken_ms: int | None
    alone: bool = False


def crashed(
    suspects: Iterable[Suspect], beats: Iterable[WorkerBeat], asked_ms: int
) -> list[Suspect]:
    """Return the suspects for which no later heartbeat was seen.

    A worker that sent a heartbeat after another one claimed its slice did not crash: it lost its
    partition, or Kafka. The next claim comes a session timeout after a crash, so host clocks may
    differ by up to that time. `asked_ms` is used as the time of the claim that comes next.
    """
    last_beat_ms: dict[Incarnation, int] = {}
    for beat in beats:
        life = Incarnation(beat.worker, beat.started_ms)
        last_beat_ms[life] = max(beat.beat_ms, last_beat_ms.get(life, 0))
    return [
        suspect
        for suspect in suspects
        if last_beat_ms.get(suspect.life, 0)
        <= (asked_ms if suspect.overtaken_ms is None else suspect.overtaken_ms)
    ]


class Appended(NamedTuple):
    """Events of a log, with the offset of the first byte."""

    off: int
    value: bytes


@dataclass(slots=True)
class TaskState:
    """A task's fold, with the data that only a worker needs."""

    fold: Fold
    claims: list[ClaimSeen] = field(default_factory=list)
    last_claim: Claim | None = None
    ckpt: bytes | None = None
    pin: bytes | None = None
    started_ms: int | None = None
    last_chunk: bytes | None = None
    last_pts: int | None = None
    """Timestamp of the last frame that was read."""
    is_live: bool = False
    since_ckpt: deque[Appended] = field(default_factory=lambda: deque(maxlen=MAX_SINCE_CHECKPOINT))
    """Of a live task: what its log has after the last checkpoint, as far as it was read."""

    @classmethod
    def at(cls, message: TaskMessage) -> "TaskState":
        """Return the state before the records that must be read for `message`."""
        point: FoldPoint = message.point
        task_state = cls(Fold.at(point), is_live=submission(message).spec.live is not None)
        if isinstance(message, Continue):
            task_state.last_claim = message.claim
            task_state.started_ms = message.started_ms
        return task_state

    def take(self, record: ChunkRecord) -> Verdict:
        """Fold one record. Raises `TaskStateLostError` on a gap: the fold point does not match."""
        self.fold, verdict = step(self.fold, record)
        if verdict is Verdict.GAP:
            raise TaskStateLostError(f"a gap in the log of {record.task} at {record.off}")
        if verdict is Verdict.CLAIMED:
            claim = decode_claim(record.value)
            if claim is not None:  # else only its epoch counts
                self.last_claim = claim
                self.claims.append(ClaimSeen(claim, self.fold.next_off, record.time_ms))
            if self.started_ms is None:
                self.started_ms = started_ms(record)
        elif verdict is Verdict.ACCEPTED:
            self.ckpt = record.ckpt or self.ckpt
            self.pin = record.pin or self.pin
            self.last_chunk = record.value
            if record.frame >= 0:
                self.last_pts = record.pts
            if record.ckpt is not None:
                self.since_ckpt.clear()
            elif self.is_live:
                self.since_ckpt.append(Appended(record.off, record.value))
        return verdict

    def restore_checkpoint(self, records: Sequence[ChunkRecord]) -> None:
        """Use the last checkpoint's record, the first of these, if no later one was read.

        `records`: all of the task from there up to what was read already, claims too. Those of a
        live task without a checkpoint begin with its log.
        """
        if self.ckpt is not None or not records:
            return
        first, *others = records
        before = TaskState(Fold(records[0].position), is_live=True)
        if first.ckpt is not None:
            before.fold = Fold(
                first.position + 1, first.epoch, first.end, first.seq + 1, first.frame
            )
            before.last_chunk = first.value
        for record in records if first.ckpt is None else others:
            before.take(record)
        self.ckpt = first.ckpt
        self.since_ckpt = deque([*before.since_ckpt, *self.since_ckpt], MAX_SINCE_CHECKPOINT)
        if self.last_pts is None:
            self.last_pts = before.last_pts
        if self.last_chunk is None and before.fold.next_off == self.fold.next_off:
            self.last_chunk = before.last_chunk

    def chunks_since_checkpoint(self) -> list[Chunk]:
        """Return the log's chunks after the last checkpoint; what cannot be read is left out."""
        found: list[Chunk] = []
        for off, value in self.since_ckpt:
            with suppress(ValueError, msgspec.DecodeError):
                found += [decode_chunk(one.data) for one in parse_events(value, off)]
        return found

    @property
    def rank(self) -> Rank:
        """The last claim's rank; without a claim, lower than that of every message."""
        return Rank(-1, -1) if self.last_claim is None else rank_of(self.last_claim)

    def accepts(self, message: TaskMessage) -> bool:
        """Return whether `message` may continue the task: see the module's docstring."""
        return not self.fold.closed and Rank(slice_of(message), parent_of(message)) >= self.rank

    def continues_after(self, claim: Claim) -> bool:
        """Return whether the slice of `claim` must write the next message.

        False if the log is closed, or if there is a later claim of higher rank: then another
        message carries the task.
        """
        return not self.fold.closed and self.rank <= rank_of(claim)

    def suspects(self, message: TaskMessage, life: Incarnation) -> list[Suspect]:
        """Return the processes that this slice may have crashed, each once, oldest first.

        A process is a suspect if it claimed the slice and no byte was written since. The caller's
        own `life` is not a suspect. Of several claims of one process only the last one counts: the
        process was still running when it made that one.
        """
        found: dict[Incarnation, Suspect] = {}
        for i, seen in enumerate(self.claims):
            claim = seen.claim
            if (
                claim.parent != parent_of(message)
                or claim.attempts != self.attempts
                or seen.off != self.fold.next_off
            ):
                continue
            overtaken_ms = self.claims[i + 1].time_ms if i + 1 < len(self.claims) else None
            one = Incarnation(claim.worker, claim.life)
            found.pop(one, None)
            found[one] = Suspect(one, seen.time_ms, overtaken_ms, claim.alone)
        found.pop(life, None)
        return list(found.values())

    @property
    def processed(self) -> int:
        """Number of frames whose chunks are in the log."""
        return self.fold.next_seq

    def info(self) -> StreamInfo | None:
        """Return the counters of the last chunk read; None if there is none or it is invalid."""
        if self.last_chunk is None:
            return None
        try:
            event = next(parse_events(self.last_chunk, self.fold.next_off - len(self.last_chunk)))
            return decode_chunk(event.data).stream_info
        except (ValueError, StopIteration):
            return None

    @property
    def attempts(self) -> tuple[Attempt, ...]:
        return self.last_claim.attempts if self.last_claim else ()
