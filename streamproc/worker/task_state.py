"""Where a task stands: the fold up to a worker's own claim, and who may go on from there.

Each message of video.tasks begins one slice. It names its slice's number and the epoch of the
slice that wrote it (`parent`, -1 for a submission); a claim repeats both. The pair is the rank of
message and claim. A message may go on if its rank is no lower than the last claim's: the slice
that follows, the same slice again after a death, or the winner among several that could follow.

At any moment some message that is not acknowledged ranks as high as the last claim or higher, so
whoever dies, somebody goes on:
- a message is acknowledged when its slice has written the next one, which ranks higher,
- or when a claim that ranks higher was seen, to which the same applies.
That holds for a claim that reaches the log long after its message was acknowledged, too: what it
shuts out ranks higher than it. The rules are sans-IO: `TaskState` takes records, others read.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import NamedTuple

from streamproc.contract.chunk import StreamInfo, decode_chunk
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
)
from streamproc.errors import TaskStateLostError

ALONE_FROM = 2
"""Workers lost by a slice after which it runs alone."""
MAX_LOST_ALONE = 3
"""Workers lost by a slice that was alone in them, after which its task is ended."""


def submission(message: TaskMessage) -> Submitted:
    return message if isinstance(message, Submitted) else message.submitted


def parent_of(message: TaskMessage) -> int:
    return -1 if isinstance(message, Submitted) else message.parent


def slice_of(message: TaskMessage) -> int:
    return 0 if isinstance(message, Submitted) else message.slice


class Rank(NamedTuple):
    """Orders messages and claims of one task: later slices first, then later parents."""

    slice: int
    parent: int


def rank_of(claim: Claim) -> Rank:
    return Rank(claim.slice, claim.parent)


class Incarnation(NamedTuple):
    """One process: a worker's name and the Unix milliseconds of its start."""

    worker: str
    started_ms: int


class ClaimSeen(NamedTuple):
    """A claim, the log's length when it was made, and when that was."""

    claim: Claim
    off: int
    time_ms: int


class Suspect(NamedTuple):
    """A life that claimed a slice and wrote nothing; `overtaken_ms` None: nobody claimed since."""

    life: Incarnation
    claimed_ms: int
    overtaken_ms: int | None
    alone: bool = False


def crashed(
    suspects: Iterable[Suspect], beats: Iterable[WorkerBeat], asked_ms: int
) -> list[Suspect]:
    """Return the suspects that no heartbeat acquits.

    Whoever beats after its slice was claimed by another did not die of the slice: it lost its
    partition, or Kafka. Takers come a session timeout after a death, which is what the hosts'
    clocks may differ by. `asked_ms` stands for the claim that is about to be made.
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


@dataclass(slots=True)
class TaskState:
    """A task's fold with what only a worker cares about."""

    fold: Fold
    claims: list[ClaimSeen] = field(default_factory=list)
    last_claim: Claim | None = None
    ckpt: bytes | None = None
    pin: bytes | None = None
    started_ms: int | None = None
    last_chunk: bytes | None = None

    @classmethod
    def at(cls, message: TaskMessage) -> "TaskState":
        """Return the standing before the records that must be read for `message`."""
        point: FoldPoint = message.point
        task_state = cls(Fold.at(point))
        if isinstance(message, Continue):
            task_state.last_claim = message.claim
            task_state.started_ms = message.started_ms
        return task_state

    def take(self, record: ChunkRecord) -> Verdict:
        """Fold one record. Raises `TaskStateLostError` on a gap: the hint did not fit the log."""
        self.fold, verdict = step(self.fold, record)
        if verdict is Verdict.GAP:
            raise TaskStateLostError(f"a gap in the log of {record.task} at {record.off}")
        if verdict is Verdict.CLAIMED:
            claim = decode_claim(record.value)
            if claim is not None:  # else it counts for its epoch alone
                self.last_claim = claim
                self.claims.append(ClaimSeen(claim, self.fold.next_off, record.time_ms))
            if self.started_ms is None:
                self.started_ms = record.time_ms
        elif verdict is Verdict.ACCEPTED:
            self.ckpt = record.ckpt or self.ckpt
            self.pin = record.pin or self.pin
            self.last_chunk = record.value
        return verdict

    def restore_checkpoint(self, record: ChunkRecord) -> None:
        """Take the record of the last checkpoint when nothing with one was read since."""
        self.ckpt = self.ckpt or record.ckpt
        if self.last_chunk is None and record.end == self.fold.next_off:
            self.last_chunk = record.value

    @property
    def rank(self) -> Rank:
        """The last claim's rank, lower than every message's when there is none."""
        return Rank(-1, -1) if self.last_claim is None else rank_of(self.last_claim)

    def accepts(self, message: TaskMessage) -> bool:
        """Whether `message` may carry the task: see the module's first lines."""
        return not self.fold.closed and Rank(slice_of(message), parent_of(message)) >= self.rank

    def continues_after(self, claim: Claim) -> bool:
        """Whether the slice of `claim` is to write the next message.

        Not when the log is closed, and not when a claim of a higher rank has come since: then
        another message carries the task.
        """
        return not self.fold.closed and self.rank <= rank_of(claim)

    def suspects(self, message: TaskMessage, life: Incarnation) -> list[Suspect]:
        """Return the lives that may have ended by this slice, each once, oldest first.

        A life is suspected when it claimed the slice and not a byte was written since. It is not
        when it is the asking `life`; and of several claims of one life only the last one counts,
        for it lived to make that.
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
        """Return how many frames' chunks the log holds."""
        return self.fold.next_seq

    def info(self) -> StreamInfo | None:
        """Return the counters of the last chunk that was read, if any was and can be."""
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
