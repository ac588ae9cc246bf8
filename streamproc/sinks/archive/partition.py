"""The archiver of one partition of video.chunks, sans-IO: records and outcomes in, actions out.

Guarantee: an offset is committed only if everything before it is in S3, including `final.json` of
closed logs. Each task holds the commit back at its first accepted record that is not in a stored
segment, and at the first claim after the last stored record. The claim matters because readers
start at the commit: without it, they would accept a zombie of the older epoch as the writer.

Any number of archivers may work on one partition at the same time. Each task has at most one action
in progress; an existing segment is adopted, whichever archiver wrote it. Tasks are isolated from
each other: a task that cannot be archived is given up, and reported.
"""

from cachetools import LRUCache

from streamproc.contract.fold import Verdict
from streamproc.contract.object_keys import Final
from streamproc.contract.records import ChunkRecord
from streamproc.sinks.archive.actions import (
    Action,
    FinalStored,
    GiveUp,
    LogRead,
    Outcome,
    PutFinal,
    ReadLog,
    Seed,
    Seeded,
    Seek,
    SegmentStored,
    TaskDamaged,
    VectorsStored,
)
from streamproc.sinks.archive.final import final_of
from streamproc.sinks.archive.task import Phase, TaskArchive

N_REMEMBERED = 4096


class Archiver:
    """One partition's archive; `position` is the consumer's start offset.

    Times are seconds of any monotonic clock. A damaged task is given up: it no longer holds the
    commit back, and the other tasks continue.
    """

    def __init__(self, position: int) -> None:
        self._next = position
        self._tasks: dict[str, TaskArchive] = {}
        self._finished: LRUCache[str, None] = LRUCache(N_REMEMBERED)
        self._flushing = False

    @property
    def buffered_bytes(self) -> int:
        """Bytes of the records that wait for S3."""
        return sum(task.buffered_bytes for task in self._tasks.values())

    @property
    def is_idle(self) -> bool:
        """Whether nothing waits for S3, except claims without chunks."""
        return all(task.is_idle for task in self._tasks.values())

    def committable(self) -> int:
        """Return the offset that may be committed; it may be lower than an earlier result."""
        holds = [hold for task in self._tasks.values() if (hold := task.hold()) is not None]
        return min([self._next, *holds])

    def accept(self, record: ChunkRecord, now_s: float) -> list[Action]:
        """Process the next record of the partition, in Kafka order."""
        self._next = record.position + 1
        if record.task in self._finished:
            return []
        try:
            return self._accept(record, now_s)
        except Exception as exc:  # noqa: BLE001 - one task's edge
            return self._fail(self._tasks[record.task], exc)

    def _accept(self, record: ChunkRecord, now_s: float) -> list[Action]:
        task = self._tasks.get(record.task)
        if task is None:
            task = self._tasks[record.task] = TaskArchive(record.task, record.project)
            task.queue.append(record)
            return [Seed(task.id, task.project)]
        if task.phase is Phase.SEEDING:
            task.queue.append(record)
            return []
        return self._fold(task, [record], now_s)

    def skip(self, position: int) -> None:
        """Skip a message that is not a valid record."""
        self._next = position + 1

    def tick(self, now_s: float) -> list[Action]:
        """Return the flushes that are due now."""
        actions: list[Action] = []
        for task in list(self._tasks.values()):
            try:
                actions += self._advance(task, now_s)
            except Exception as exc:  # noqa: BLE001 - one task's edge
                actions += self._fail(task, exc)
        return actions

    def flush(self, now_s: float) -> list[Action]:
        """Make everything due from now on, because the process is about to exit."""
        self._flushing = True
        return self.tick(now_s)

    def done(self, outcome: Outcome, now_s: float) -> list[Action]:
        """Process the outcome of an action."""
        task = self._tasks.get(outcome.task)
        if task is None:
            return []
        try:
            return self._done(task, outcome, now_s)
        except Exception as exc:  # noqa: BLE001 - one task's edge
            return self._fail(task, exc)

    def _done(self, task: TaskArchive, outcome: Outcome, now_s: float) -> list[Action]:
        match outcome:
            case Seeded():
                return self._seeded(task, outcome, now_s)
            case VectorsStored():
                return [task.segment(upto=outcome.end)]
            case SegmentStored():
                task.stored(outcome.end, outcome.info)
                return self._advance(task, now_s)
            case LogRead():
                return [PutFinal(task.id, task.project, _read_final(task, outcome))]
            case FinalStored():
                self._finish(task)
                return []
            case TaskDamaged():
                return self._give_up(task, outcome.reason)

    def _seeded(self, task: TaskArchive, outcome: Seeded, now_s: float) -> list[Action]:
        if outcome.final:
            self._finish(task)
            return []
        task.seeded(outcome.end, outcome.info)
        queue, task.queue = task.queue, []
        return self._fold(task, queue, now_s)

    def _fold(self, task: TaskArchive, records: list[ChunkRecord], now_s: float) -> list[Action]:
        for at, record in enumerate(records):
            if task.fold_record(record, now_s) is not Verdict.GAP:
                continue
            if task.phase is not Phase.READY:  # its outcome comes first; then S3 is read again
                task.queue_behind(records[at:])
                return []
            return self._repair(task, records[at:])
        return self._advance(task, now_s)

    def _repair(self, task: TaskArchive, records: list[ChunkRecord]) -> list[Action]:
        """Repair a gap: first read S3, then read Kafka again from there, then give up."""
        if not task.reseeded:
            task.reseed(records)
            return [Seed(task.id, task.project)]
        position = task.fold.position
        if task.sought_from == position:
            return self._give_up(task, f"log bytes from {task.fold.next_off} on are not in Kafka")
        task.sought_from = position
        task.reseeded = False
        self._next = position
        return [Seek(task.id, position)]

    def _advance(self, task: TaskArchive, now_s: float) -> list[Action]:
        if task.phase is not Phase.READY:
            return []
        if task.queue:
            queue, task.queue = task.queue, []
            return self._fold(task, queue, now_s)
        if task.is_due(now_s, flushing=self._flushing):
            return [task.flush(now_s)]
        if task.fold.closed and not task.buffer:
            task.phase = Phase.FINAL
            final = task.final()
            if final is None:
                return [ReadLog(task.id, task.project, task.stored_end)]
            return [PutFinal(task.id, task.project, final)]
        return []

    def _finish(self, task: TaskArchive) -> None:
        del self._tasks[task.id]
        self._finished[task.id] = None

    def _fail(self, task: TaskArchive, exc: Exception) -> list[Action]:
        """Give up a task whose records are inconsistent, or cause an unexpected error."""
        if isinstance(exc, ValueError):
            return self._give_up(task, str(exc))
        return self._give_up(task, f"{type(exc).__name__}: {exc}", "internal_error")

    def _give_up(self, task: TaskArchive, reason: str, code: str = "task_damaged") -> list[Action]:
        self._finish(task)
        return [GiveUp(task.id, reason, task.project, task.fold.position - 1, code)]


def _read_final(task: TaskArchive, read: LogRead) -> Final:
    return final_of(
        first=read.first,
        terminal=read.terminal,
        length=task.stored_end,
        sha256=read.sha256,
        started_ms=task.started_ms or 0,
        finished_ms=task.finished_ms,
        attempts=task.attempts,
    )
