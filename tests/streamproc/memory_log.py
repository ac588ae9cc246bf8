"""A task and its log in memory: what a session writes into, and what a worker stands on."""

import msgspec

from streamproc.contract.fold import Fold
from streamproc.contract.records import ChunkRecord, Claim, FoldPoint, Submitted
from streamproc.contract.task_spec import Sampling, SourceRef, TaskSpec
from streamproc.worker.task_log import LogWriter, Pending
from streamproc.worker.task_state import TaskState

SUBMITTED = Submitted(
    "vt_1",
    "p",
    0,
    1,
    TaskSpec(SourceRef(url="file:///v"), (), Sampling("interval", 1)),
    FoldPoint(0),
)


class MemoryLog(LogWriter):
    """A partition: what is appended is there at once."""

    def __init__(self) -> None:
        self.records: list[ChunkRecord] = []

    def append(self, record: ChunkRecord, partition: int, pending: Pending) -> None:
        self.records.append(msgspec.structs.replace(record, position=len(self.records)))

    def settle(self, pending: Pending) -> int:
        return len(self.records) - 1

    def claim(self, fold: Fold) -> Claim:
        claim = Claim(
            worker=f"w{len(self.records)}", slice=0, provider="local", device="CPU", precision="f32"
        )
        record = ChunkRecord(
            task=SUBMITTED.task,
            project=SUBMITTED.project,
            kind="claim",
            epoch=-1,
            seq=fold.next_seq,
            off=fold.next_off,
            frame=-1,
            pts=-1,
            value=msgspec.msgpack.encode(claim),
        )
        self.append(record, 0, Pending())
        return claim


def task_state_of(log: MemoryLog) -> TaskState:
    task_state = TaskState.at(SUBMITTED)
    for record in log.records:
        task_state.take(record)
    return task_state
