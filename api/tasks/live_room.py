"""Room for live tasks: which partition a new one gets, by the workers' heartbeats. Sans-IO.

A live task that waits is a camera that nobody watches, so it is refused when no worker has a free
live slot. A task's partition decides which worker has it; it gets one of the worker with the most
room.

Heartbeats are two seconds old at most. Tasks that this process has admitted since are added to
them, until a heartbeat names them. Other api processes admit at the same time, and a partition may
change its worker: a worker may get more than its slots, and can run them (`OVERCOMMIT` in
`streamproc/worker/places.py`).
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from streamproc.contract.bounds import MAX_BEAT_SOURCES
from streamproc.contract.records import WorkerBeat

PROMISE_MS = 10_000
"""Time after which an admitted task that no heartbeat names is not counted any more."""


class NoRoomError(Exception):
    """No worker has a free live slot. `slots` and `busy` are those of all workers together.

    `is_starting`: none is alive, or one would have room, but has no partition yet. One that has
    just started has both in a moment.
    """

    def __init__(self, said: str, slots: int, busy: int, *, is_starting: bool) -> None:
        super().__init__(said)
        self.slots, self.busy, self.is_starting = slots, busy, is_starting


class UnknownSourceError(Exception):
    """Workers are alive, and none of them has a source of this name."""


def partitions_with_room(
    beats: Sequence[WorkerBeat], promised: Mapping[int, int], camera: str | None = None
) -> tuple[int, ...]:
    """Return the partitions of the worker that has the most free live slots.

    `beats`: the last heartbeats of the workers that are alive. `promised`: tasks by partition that
    are not in the heartbeats yet. `camera`: the name of the source that the worker must have.
    Raises `NoRoomError` or `UnknownSourceError`.
    """
    owned = _owned(beats)
    able = [beat for beat in beats if camera is None or _has(beat, camera)]
    if camera is not None and beats and not able:
        raise UnknownSourceError
    best: tuple[int, ...] = ()
    most = n_slots = n_busy = 0
    is_starting = False
    for beat in able:
        partitions = owned.get(beat.worker, ())
        busy = max(beat.live_busy, 0) + sum(promised.get(n, 0) for n in partitions)
        n_slots, n_busy = n_slots + max(beat.live_slots, 0), n_busy + busy
        if beat.device_fault is None and beat.live_slots - busy > most:
            if partitions:
                best, most = partitions, beat.live_slots - busy
            else:
                is_starting = True
    if best:
        return best
    if not beats:
        raise NoRoomError("no worker is alive", 0, 0, is_starting=True)
    why = ", and the workers with free ones have no partition" if is_starting else ""
    said = f"{n_busy} of {n_slots} live slots are in use{why}"
    raise NoRoomError(said, n_slots, n_busy, is_starting=is_starting)


class Promises:
    """Live tasks that were admitted here and are in no heartbeat yet. Times are Unix ms."""

    def __init__(self) -> None:
        self._tasks: dict[str, tuple[int, int]] = {}

    def add(self, task: str, partition: int, at_ms: int) -> None:
        self._tasks[task] = (partition, at_ms)

    def drop(self, task: str) -> None:
        """Forget a task that was not submitted after all."""
        self._tasks.pop(task, None)

    def by_partition(self, beats: Iterable[WorkerBeat], now_ms: int) -> Counter[int]:
        """Count those that no heartbeat names, and forget the others."""
        named = {source.task for beat in beats for source in beat.live}
        self._tasks = {
            task: (partition, at_ms)
            for task, (partition, at_ms) in self._tasks.items()
            if task not in named and 0 <= now_ms - at_ms < PROMISE_MS
        }
        return Counter(partition for partition, _ in self._tasks.values())


def _owned(beats: Sequence[WorkerBeat]) -> dict[str, tuple[int, ...]]:
    """Return each worker's partitions: one that two name is the newer heartbeat's."""
    owner: dict[int, str] = {}
    for beat in sorted(beats, key=lambda beat: beat.beat_ms):
        owner |= dict.fromkeys(beat.partitions, beat.worker)
    owned: dict[str, tuple[int, ...]] = {}
    for partition, worker in sorted(owner.items()):
        owned[worker] = (*owned.get(worker, ()), partition)
    return owned


def _has(beat: WorkerBeat, camera: str) -> bool:
    """Return whether the worker may have the source: a heartbeat names only so many."""
    return camera in beat.sources or len(beat.sources) >= MAX_BEAT_SOURCES
