"""The indexer, sans IO: messages of video.tasks and video.chunks in, rows out.

Replay is harmless: rows are determined by the log, and the newest version of a row wins. So an
index that restarts from an older commit, or two of them on one partition, write the same tables.
What may be committed is everything whose rows are written, less the claims that no indexed record
has followed yet: a reader that starts behind such a claim would believe a zombie.
"""

import logging
from collections import OrderedDict
from collections.abc import Iterable, Mapping
from typing import NamedTuple

import msgspec

from streamproc.contract.fold import Verdict
from streamproc.contract.records import ChunkRecord, Submitted
from streamproc.sinks.clickhouse import Recovered
from streamproc.sinks.index_task import IndexedTask, TaskRows

LOG = logging.getLogger("framewire.index")

N_REMEMBERED = 4096


class Gap(NamedTuple):
    """The task's records from Kafka offset `position` on have to be read again."""

    partition: int
    position: int


class Indexer:
    """All assigned partitions' tasks. Every batch is: `unknown` → `recover` → `take` → `rows`."""

    def __init__(self) -> None:
        self._tasks: dict[str, IndexedTask] = {}
        self._partitions: dict[str, int] = {}
        self._finished: OrderedDict[str, None] = OrderedDict()
        self._sought: dict[str, int] = {}

    def unknown(self, tasks: Iterable[str]) -> list[str]:
        """Return those of the tasks that have to be recovered from the tables first."""
        return sorted({t for t in tasks if t not in self._tasks and t not in self._finished})

    def recover(self, task: str, project: str, partition: int, found: Recovered | None) -> None:
        """Take up a task as the tables have it, or as new. Passes over ids that are none."""
        try:
            self._tasks[task] = (
                IndexedTask(project, task) if found is None else IndexedTask.recover(found)
            )
        except ValueError as exc:
            LOG.error("skipped a task: %s", exc)  # noqa: TRY400 - expected of foreign records
            self._give_up(task)
            return
        self._partitions[task] = partition

    def lacks_submission(self, task: str) -> bool:
        """Whether video.tasks should be read before this task's records are."""
        found = self._tasks.get(task)
        return found is not None and not found.is_submitted

    def submit(self, submitted: Submitted) -> None:
        task = self._tasks.get(submitted.task)
        if task is not None:
            task.submit(submitted)

    def take(self, partition: int, record: ChunkRecord) -> Gap | None:
        """Fold one record of video.chunks; a gap is reported once, then the task is given up."""
        task = self._tasks.get(record.task)
        if task is None:
            return None
        try:
            verdict = task.accept(record)
        except (ValueError, msgspec.DecodeError) as exc:
            LOG.error("%s: its log cannot be read, not indexed: %s", record.task, exc)  # noqa: TRY400
            self._give_up(record.task)
            return None
        if verdict is not Verdict.GAP:
            return None
        position = task.fold.position
        if self._sought.get(record.task) == position:
            LOG.error("%s: log bytes are not in Kafka any more; reindex it", record.task)
            self._give_up(record.task)
            return None
        self._sought[record.task] = position
        return Gap(partition, position)

    def rows(self) -> TaskRows:
        """Return every row that changed since the last call, table by table."""
        rows = TaskRows([], [], [], [])
        for task in self._tasks.values():
            new = task.take_rows()
            rows.detections.extend(new.detections)
            rows.embeddings.extend(new.embeddings)
            rows.tracks.extend(new.tracks)
            rows.tasks.extend(new.tasks)
        return rows

    def written(self) -> None:
        """The rows are in the tables: closed tasks may be forgotten."""
        for task_id, task in list(self._tasks.items()):
            if task.fold.closed and task.is_submitted:
                self._give_up(task_id)

    def committable(self, nexts: Mapping[int, int]) -> dict[int, int]:
        """Return what may be committed of video.chunks, given the next offsets to read."""
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

    def _give_up(self, task: str) -> None:
        self._tasks.pop(task, None)
        self._partitions.pop(task, None)
        self._sought.pop(task, None)
        self._finished[task] = None
        if len(self._finished) > N_REMEMBERED:
            self._finished.popitem(last=False)
