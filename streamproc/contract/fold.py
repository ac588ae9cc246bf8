"""The fold (reducer): the one pure function that turns records of video.chunks into a task's log.

All readers run it: worker, archive, index, api. Rules, in this order:

- closed log: accept nothing more;
- claim: open its epoch (the claim's Kafka offset). The epoch is a fencing token: older writers are
  fenced;
- older epoch: drop the record. Newer epoch than known: adopt it; its claim was written before this
  reader's start offset;
- `off < next_off`: duplicate. `off == next_off`: accepted. `off > next_off`: gap, the reader lacks
  records and must read again from a `FoldPoint`; it must never skip.
"""

import enum

import msgspec

from streamproc.contract.records import ChunkRecord, FoldPoint


class Verdict(enum.Enum):
    """Result of folding one record."""

    ACCEPTED = "accepted"
    CLAIMED = "claimed"
    STALE = "stale"
    DUPLICATE = "duplicate"
    GAP = "gap"
    CLOSED = "closed"
    SEEN = "seen"


class Fold(msgspec.Struct, frozen=True):
    """The state of one task's log: bytes `[0, next_off)` exist.

    `position` is the Kafka offset of the next record to fold; records before it are `SEEN`.
    """

    position: int = 0
    epoch: int = -1
    next_off: int = 0
    next_seq: int = 0
    last_frame: int = -1
    ckpt_position: int | None = None
    closed: bool = False

    @classmethod
    def at(cls, point: FoldPoint) -> "Fold":
        return cls(
            position=point.position,
            epoch=point.epoch,
            next_off=point.next_off,
            next_seq=point.next_seq,
            last_frame=point.last_frame,
            ckpt_position=point.ckpt_position,
        )

    def point(self) -> FoldPoint:
        """Return the state as a resume point; raises ValueError on a closed log."""
        if self.closed:
            raise ValueError("a closed log is not continued")
        return FoldPoint(
            position=self.position,
            epoch=self.epoch,
            next_off=self.next_off,
            next_seq=self.next_seq,
            last_frame=self.last_frame,
            ckpt_position=self.ckpt_position,
        )


def step(fold: Fold, record: ChunkRecord) -> tuple[Fold, Verdict]:
    """Fold one record of the task, in Kafka order; a gap leaves the state unchanged."""
    if record.position < fold.position:
        return fold, Verdict.SEEN
    moved = msgspec.structs.replace(fold, position=record.position + 1)
    if fold.closed:
        return moved, Verdict.CLOSED
    if record.kind == "claim":
        return msgspec.structs.replace(moved, epoch=record.epoch), Verdict.CLAIMED
    if record.epoch < fold.epoch:
        return moved, Verdict.STALE
    if record.off < fold.next_off:
        return moved, Verdict.DUPLICATE
    if record.off > fold.next_off:
        return fold, Verdict.GAP
    return (
        Fold(
            position=record.position + 1,
            epoch=record.epoch,
            next_off=record.end,
            next_seq=record.seq + 1,
            last_frame=max(fold.last_frame, record.frame),
            ckpt_position=record.position if record.ckpt is not None else fold.ckpt_position,
            closed=record.kind == "terminal",
        ),
        Verdict.ACCEPTED,
    )
