"""Taking a slice: a claim is appended, and the log read up to it.

From there on the worker knows where the task stands, and every older writer is shut out.
"""

from dataclasses import dataclass

import msgspec

from streamproc.agents.log import LogReader, LogWriter, Pending
from streamproc.agents.standing import Life, Standing, parent_of, slice_of, submission
from streamproc.contract.records import ChunkRecord, Claim, FoldPoint, Submitted, TaskMessage
from streamproc.errors import StandingLostError
from streamproc.providers.engines import Engines


@dataclass(frozen=True, slots=True)
class Taken:
    """A claimed slice. `point` is the fold just after the claim; `standing` may be read on.

    `started_ms`: Unix milliseconds of the task's first claim.
    """

    message: TaskMessage
    standing: Standing
    claim: Claim
    point: FoldPoint
    started_ms: int

    @property
    def submitted(self) -> Submitted:
        return submission(self.message)


class Claimant:
    """Claims slices for one worker's life; shared by all slots."""

    def __init__(self, life: Life, writer: LogWriter, engines: Engines) -> None:
        self._life, self._writer, self._engines = life, writer, engines

    def take(
        self, message: TaskMessage, standing: Standing, reader: LogReader, *, alone: bool = False
    ) -> Taken | None:
        """Claim the slice and fold up to the claim; None when the log has closed meanwhile.

        `alone`: the claim says that no other slice runs in this process until it is done.
        Raises `StandingLostError` when the claim was not read back.
        """
        submitted = submission(message)
        claim = self._next(message, standing, alone=alone)
        pending = Pending()
        record = ChunkRecord(
            task=submitted.task,
            project=submitted.project,
            kind="claim",
            epoch=-1,
            seq=standing.fold.next_seq,
            off=standing.fold.next_off,
            frame=-1,
            pts=-1,
            value=msgspec.msgpack.encode(claim),
        )
        self._writer.append(record, submitted.partition, pending)
        position = self._writer.settle(pending)
        reader.read_on(standing, submitted, position + 1)
        if standing.fold.closed:
            return None
        started_ms = standing.started_ms
        if standing.fold.epoch != position or started_ms is None:
            raise StandingLostError(f"the claim of {submitted.task} was not read back")
        return Taken(message, standing, claim, standing.fold.point(), started_ms)

    def _next(self, message: TaskMessage, standing: Standing, *, alone: bool) -> Claim:
        """Return the claim to make: same provider and precision as before, if any was chosen."""
        last = standing.last_claim
        attempts = standing.attempts
        order = submission(message).spec.providers or ("local",)
        name = order[min(len(attempts), len(order) - 1)]
        if last is not None and last.provider == name and last.precision:
            device, precision = last.device, last.precision
        else:
            try:
                device, precision = self._engines.resolve(name)
            except Exception:  # noqa: BLE001 - a claim must always be possible, to end a task too
                device, precision = "", ""  # opening it will fail and say why
        return Claim(
            worker=self._life.worker,
            life=self._life.started_ms,
            slice=slice_of(message),
            provider=name,
            precision=precision,
            device=device,
            parent=parent_of(message),
            attempts=attempts,
            alone=alone,
        )
