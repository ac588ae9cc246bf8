"""The indexer, sans-IO: messages of video.tasks and video.chunks in, rows out.

Replay is harmless: rows are determined by the log, and the newest version of a row wins. So an
index that restarts from an older commit, and two of them on one partition, write the same tables.
Everything whose rows are written may be committed, except claims that are not yet followed by an
indexed record: a reader that starts after such a claim would accept a zombie's records.

Tasks are isolated from each other: a task that cannot be indexed is given up, and reported by
`take_left_out`.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from cachetools import LRUCache

from streamproc.contract.fold import Verdict
from streamproc.contract.records import ChunkRecord, Submitted
from streamproc.contract.tables import TrackRow
from streamproc.contract.topics import CHUNKS
from streamproc.sinks.index.tables import Embedded, Recovered
from streamproc.sinks.index.task import IndexedTask, TaskRows
from streamproc.sinks.skipped_records import LeftOut

N_REMEMBERED = 4096


class Gap(NamedTuple):
    """The task's records from Kafka offset `position` on must be read again."""

    partition: int
    position: int


class Indexer:
    """Tasks of all assigned partitions. Each batch: `unknown` → `recover` → `take` → `rows`."""

    def __init__(self) -> None:
        self._tasks: dict[str, IndexedTask] = {}
        self._partitions: dict[str, int] = {}
        self._finished: LRUCache[str, None] = LRUCache(N_REMEMBERED)
        self._sought: dict[str, int] = {}
        self._left_out: list[LeftOut] = []

    def unknown(self, tasks: Iterable[str]) -> list[str]:
        """Return the tasks that must be recovered from the tables first."""
        return sorted({t for t in tasks if t not in self._tasks and t not in self._finished})

    def recover(self, task: str, project: str, partition: int, found: Recovered | None) -> None:
        """Restore a task from the tables, or start a new one. Invalid ids are skipped."""
        self._partitions[task] = partition
        try:
            self._tasks[task] = (
                IndexedTask(project, task) if found is None else IndexedTask.recover(found)
            )
        except Exception as exc:  # noqa: BLE001 - one task's edge
            self._fail(task, project, _code(exc), str(exc))

    def fail(self, task: str, project: str, partition: int, reason: str) -> None:
        """Give up a task whose rows in the tables cannot be read."""
        self._partitions[task] = partition
        self._fail(task, project, "task_damaged", reason)

    def lacks_submission(self, task: str) -> bool:
        """Return whether video.tasks must be read before this task's records."""
        found = self._tasks.get(task)
        return found is not None and not found.is_submitted

    def submit(self, submitted: Submitted) -> None:
        task = self._tasks.get(submitted.task)
        if task is None:
            return
        try:
            task.submit(submitted)
        except Exception as exc:  # noqa: BLE001 - one task's edge
            self._fail(submitted.task, submitted.project, _code(exc), str(exc))

    def evicted(self, record: ChunkRecord) -> list[int]:
        """Return the tracks to `restore` from the tables before the record is taken."""
        task = self._tasks.get(record.task)
        return [] if task is None else task.evicted(record)

    def restore(self, task: str, tracks: Sequence[TrackRow], embedded: Sequence[Embedded]) -> None:
        """Take up tracks that were evicted, and are seen again."""
        self._tasks[task].restore(tracks, embedded)

    def take(self, partition: int, record: ChunkRecord) -> Gap | None:
        """Fold one record of video.chunks; a gap is reported once, then the task is given up."""
        task = self._tasks.get(record.task)
        if task is None:
            return None
        try:
            verdict = task.accept(record)
        except Exception as exc:  # noqa: BLE001 - one task's edge
            reason = f"its log cannot be read, not indexed from here on: {exc}"
            self._fail(record.task, record.project, _code(exc), reason, record.position)
            return None
        for off in task.take_unreadable():
            self._note(
                "unreadable_chunk",
                f"the event at byte {off} is no chunk",
                record.task,
                record.project,
                record.position,
            )
        if verdict is not Verdict.GAP:
            return None
        position = task.fold.position
        if self._sought.get(record.task) == position:
            lost = f"log bytes from {task.fold.next_off} on are no longer in Kafka"
            reason = f"{lost}; run reindex for this task"
            self._fail(record.task, record.project, "task_damaged", reason, record.position)
            return None
        self._sought[record.task] = position
        return Gap(partition, position)

    def rows(self) -> TaskRows:
        """Return all rows that changed since the last call, by table."""
        rows = TaskRows([], [], [], [])
        for task_id, task in list(self._tasks.items()):
            try:
                new = task.take_rows()
            except Exception as exc:  # noqa: BLE001 - one task's edge
                self._fail(task_id, task.row.project, _code(exc), str(exc))
                continue
            rows.detections.extend(new.detections)
            rows.embeddings.extend(new.embeddings)
            rows.tracks.extend(new.tracks)
            rows.tasks.extend(new.tasks)
        return rows

    def written(self) -> None:
        """Record that the rows are in the tables; closed tasks and old tracks are forgotten."""
        for task_id, task in list(self._tasks.items()):
            task.evict()
            if task.fold.closed and task.is_submitted:
                self._give_up(task_id)

    def committable(self, nexts: Mapping[int, int]) -> dict[int, int]:
        """Return the committable offsets of video.chunks, given the next offsets to read."""
        out = dict(nexts)
        for task_id, task in self._tasks.items():
            partition = self._partitions[task_id]
            if task.hold is not None and partition in out:
                out[partition] = min(out[partition], task.hold)
        return out

    def forget(self, partitions: Iterable[int]) -> None:
        """Drop the tasks of partitions that another process reads now."""
        gone = set(partitions)
        for task_id in [t for t, partition in self._partitions.items() if partition in gone]:
            self._tasks.pop(task_id, None)
            del self._partitions[task_id]
            self._sought.pop(task_id, None)
        self._finished.clear()

    def take_left_out(self) -> list[LeftOut]:
        """Return the records and tasks skipped since the last call."""
        found, self._left_out = self._left_out, []
        return found

    def partition_of(self, task: str) -> int:
        """Return the task's partition, -1 if unknown here."""
        return self._partitions.get(task, -1)

    def _fail(self, task: str, project: str, code: str, reason: str, position: int = -1) -> None:
        self._note(code, reason, task, project, position)
        self._give_up(task)

    def _note(self, code: str, message: str, task: str, project: str, position: int) -> None:
        self._left_out.append(
            LeftOut(code, message, task, project, CHUNKS, self.partition_of(task), position)
        )

    def _give_up(self, task: str) -> None:
        self._tasks.pop(task, None)
        self._partitions.pop(task, None)
        self._sought.pop(task, None)
        self._finished[task] = None


def _code(exc: Exception) -> str:
    """Return the code: `bad_record` for an invalid record, `internal_error` for a bug."""
    return "bad_record" if isinstance(exc, ValueError) else "internal_error"
