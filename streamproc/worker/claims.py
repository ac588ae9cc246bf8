"""Claiming a slice: append a claim (its offset is a fencing token) and read the log up to it.

After that the worker knows the task's state, and every older writer is fenced.
"""

from dataclasses import dataclass

import msgspec

from streamproc.contract.records import ChunkRecord, Claim, FoldPoint, Submitted, TaskMessage
from streamproc.errors import TaskStateLostError
from streamproc.providers.engine_factory import Engines
from streamproc.worker.task_log import LogReader, LogWriter, Pending
from streamproc.worker.task_state import Incarnation, TaskState, parent_of, slice_of, submission


@dataclass(frozen=True, slots=True)
class ClaimedSlice:
    """A claimed slice. `point` is the fold just after the claim; `task_state` may advance later.

    `started_ms`: Unix milliseconds of the task's first claim.
    """

    message: TaskMessage
    task_state: TaskState
    claim: Claim
    point: FoldPoint
    started_ms: int

    @property
    def submitted(self) -> Submitted:
        return submission(self.message)


class SliceClaimer:
    """Claims slices for one worker process; shared by all slots."""

    def __init__(self, life: Incarnation, writer: LogWriter, engines: Engines) -> None:
        self._life, self._writer, self._engines = life, writer, engines

    def take(
        self, message: TaskMessage, task_state: TaskState, reader: LogReader, *, alone: bool = False
    ) -> ClaimedSlice | None:
        """Claim the slice and fold up to the claim; None if the log was closed in the meantime.

        `alone`: the claim states that no other slice runs in this process until it is done.
        Raises `TaskStateLostError` if the claim was not read back.
        """
        submitted = submission(message)
        claim = self._next(message, task_state, alone=alone)
        pending = Pending()
        record = ChunkRecord(
            task=submitted.task,
            project=submitted.project,
            kind="claim",
            epoch=-1,
            seq=task_state.fold.next_seq,
            off=task_state.fold.next_off,
            frame=-1,
            pts=-1,
            value=msgspec.msgpack.encode(claim),
        )
        self._writer.append(record, submitted.partition, pending)
        position = self._writer.settle(pending)
        reader.read_on(task_state, submitted, position + 1)
        if task_state.fold.closed:
            return None
        started_ms = task_state.started_ms
        if task_state.fold.epoch != position or started_ms is None:
            raise TaskStateLostError(f"the claim of {submitted.task} was not read back")
        return ClaimedSlice(message, task_state, claim, task_state.fold.point(), started_ms)

    def _next(self, message: TaskMessage, task_state: TaskState, *, alone: bool) -> Claim:
        """Return the next claim: provider and precision as before, if they were chosen already."""
        last = task_state.last_claim
        attempts = task_state.attempts
        spec = submission(message).spec
        order = spec.providers or ("local",)
        name = order[min(len(attempts), len(order) - 1)]
        try:
            device, precision = self._engines.resolve(name, spec.precision)
        except Exception:  # noqa: BLE001 - a claim must always be possible, also to end a task
            device, precision = "", ""  # opening will fail with the reason
        if last is not None and last.provider == name and last.precision:
            precision = last.precision
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
            started_ms=task_state.started_ms or 0,
        )
