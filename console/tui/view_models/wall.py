"""Wall of tasks: which task has which pane, and the rate of a stream. No I/O, no UI."""

from collections.abc import Sequence

from console.tui.view_models.live_stream import LiveSnapshot

SIDES = (2, 3, 4)
"""Panes in a row, and rows."""
MAX_PANES = SIDES[-1] ** 2
RATE_S = 10


class WallPlaces:
    """Places of the panes, row by row; a task keeps its place as long as it is wanted.

    A task that is not wanted any more, because it has ended, stays until another needs the place.
    """

    def __init__(self) -> None:
        self.side = SIDES[0]
        self._places: list[str | None] = [None] * self.side**2
        self._wanted: tuple[str, ...] = ()

    @property
    def places(self) -> tuple[str | None, ...]:
        """The tasks by place; None is free."""
        return tuple(self._places)

    @property
    def n_without(self) -> int:
        """How many wanted tasks have no pane."""
        return len(set(self._wanted) - set(self._places))

    def want(self, task_ids: Sequence[str]) -> None:
        """Give the tasks places, in their order, as far as there are any."""
        self._wanted = tuple(task_ids)
        shown = {task for task in self._places if task is not None}
        waiting = [task for task in task_ids if task not in shown]
        free = [at for at, task in enumerate(self._places) if task is None]
        ended = [at for at, task in enumerate(self._places) if task and task not in task_ids]
        for at, task in zip([*free, *ended], waiting, strict=False):
            self._places[at] = task

    def fit(self, n_tasks: int) -> None:
        """Take the smallest grid that has a pane for each task, else the largest."""
        while self.side**2 < n_tasks and self.resize(1):
            pass

    def resize(self, step: int) -> bool:
        """Take the next larger (1) or smaller (-1) grid; False if there is none."""
        at = SIDES.index(self.side) + step
        if not 0 <= at < len(SIDES):
            return False
        self.side = SIDES[at]
        kept = [task for task in self._places if task is not None]
        n_panes = self.side**2
        if len(kept) > n_panes:  # tasks that have ended go first
            wanted = [task for task in kept if task in self._wanted]
            kept = [*wanted, *(task for task in kept if task not in self._wanted)]
        self._places = [*kept[:n_panes], *[None] * max(0, n_panes - len(kept))]
        self.want(self._wanted)
        return True


def rate_fps(snapshot: LiveSnapshot) -> float | None:
    """Return the frames per second of the last `RATE_S` whole seconds, in the task's own time.

    Of a stream that has ended it is that of the whole task; None before the first frame.
    """
    if not snapshot.n_chunks or snapshot.info is None:
        return None
    if snapshot.ended:
        elapsed_ms = snapshot.info.elapsed_ms
        return 1000 * snapshot.n_chunks / elapsed_ms if elapsed_ms > 0 else None
    last = snapshot.rates[-RATE_S:]
    return sum(last) / len(last) if last else None
