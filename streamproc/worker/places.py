"""Places of one kind of tasks: their wait queue, and a thread for each opening and each slot."""

from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor

from streamproc.worker.scheduler import Scheduler
from streamproc.worker.wait_queue import Line

OVERCOMMIT = 4
"""Live tasks that a worker runs at the same time, for each of its live slots."""


class Places:
    """Opening places and slots with their threads, which start when they are needed."""

    def __init__(
        self,
        name: str,
        *,
        slots: int,
        openings: int,
        project_openings: int,
        sessions: float,
        kept: Callable[[], Mapping[str, int]] = dict,
    ) -> None:
        """`project_openings`: maximum of the `openings` for one project.

        `sessions`: maximum number of open tasks; `kept` counts those outside the slots by project.
        """
        self.line = Line(Scheduler(slots, openings, project_openings, sessions), kept)
        self.slots = ThreadPoolExecutor(slots, f"{name} slot")
        self.openings = ThreadPoolExecutor(openings, f"{name} opening")

    def close(self) -> None:
        """Wait for the threads."""
        self.openings.shutdown(wait=True)
        self.slots.shutdown(wait=True)


def live_places(live_slots: int) -> Places:
    """Return the places of live tasks: so many that none of them waits.

    The api admits `live_slots` tasks. When a worker dies, its tasks come to those that remain, in
    addition: a task that waits for a place has no frames at all, a task among too many only fewer.
    `OVERCOMMIT` bounds the memory of that. Whoever waits all the same gets a slot at the end of a
    slice, by the rules for files.
    """
    most = OVERCOMMIT * live_slots
    return Places("live", slots=most, openings=most, project_openings=most, sessions=float("inf"))
