"""The live tasks of a worker: those of which it has a message, or had one a moment ago. Sans-IO.

Between two slices the task's next message is on its way through Kafka. A task is still counted for
`BETWEEN_SLICES_S` after a slice, so that the number in a heartbeat does not flicker.
"""

from collections import Counter

BETWEEN_SLICES_S = 2.0


class LiveTasks:
    """Counts tasks, not messages; times are monotonic seconds. Use from one thread."""

    def __init__(self) -> None:
        self._here: Counter[str] = Counter()
        self._left_s: dict[str, float] = {}

    def enters(self, task: str) -> None:
        """Note a message of the task."""
        self._here[task] += 1
        self._left_s.pop(task, None)

    def leaves(self, task: str, now_s: float) -> None:
        """Note that a message of the task is done."""
        self._here[task] -= 1
        if not self._here[task]:
            del self._here[task]
            self._left_s[task] = now_s

    def count(self, now_s: float) -> int:
        """Return the number of live tasks at `now_s`."""
        for task, left_s in [*self._left_s.items()]:
            if now_s - left_s >= BETWEEN_SLICES_S:
                del self._left_s[task]
        return len(self._here) + len(self._left_s)
