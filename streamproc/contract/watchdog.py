"""Whether a reader stands still: it could read on, and does not. Sans-IO, the clock is given.

A partition *stands* when records wait behind the reader's position, and the position has not moved
for the limit. It does not stand while nothing is there to read, while the reader waits for
something that is named (its store, a free slot: that is an outage, and starting again would not
help), while Kafka does not tell where the end is, or over a time in which nobody looked.
"""

from collections.abc import Hashable, Mapping
from typing import Generic, TypeVar

P = TypeVar("P", bound=Hashable)

DEFAULT_LIMIT_S = 60.0
RENEWALS = 3
"""So often in a row a reader is renewed without a record read; then its process should end."""


class Watchdog(Generic[P]):
    """Looks at the places of one reader; `limit_s` 0 never finds any standing.

    `max_unseen_s`: a longer time between two looks does not count, by default half the limit.
    """

    def __init__(self, limit_s: float, *, max_unseen_s: float | None = None) -> None:
        self._limit_s = limit_s
        self._max_unseen_s = limit_s / 2 if max_unseen_s is None else max_unseen_s
        self._moved: dict[P, tuple[int, float]] = {}  # position, and since when it is that
        self._looked_s: float | None = None
        self._n_in_a_row = 0
        self.n_renewals = 0

    @property
    def is_hopeless(self) -> bool:
        """Whether renewing the reader has helped nothing, several times in a row."""
        return self._n_in_a_row >= RENEWALS

    def look(
        self,
        now_s: float,
        positions: Mapping[P, int],
        ends: Mapping[P, int],
        *,
        waiting_for: str | None = None,
    ) -> list[P]:
        """Return the places that stand; `positions` and `ends` are next offsets.

        A place without an end is one of which Kafka tells nothing now.
        """
        unseen_s = 0.0 if self._looked_s is None else now_s - self._looked_s
        late_s = unseen_s if unseen_s > self._max_unseen_s else 0.0  # nobody looked: it slept
        self._looked_s = now_s
        standing: list[P] = []
        moved: dict[P, tuple[int, float]] = {}
        for place, position in positions.items():
            before, since_s = self._moved.get(place, (position, now_s))
            if position != before:
                self._n_in_a_row = 0
            is_behind = position < ends.get(place, -1)
            if waiting_for is not None or not is_behind or position != before:
                since_s = now_s
            since_s = min(now_s, since_s + late_s)
            moved[place] = (position, since_s)
            if self._limit_s and now_s - since_s >= self._limit_s:
                standing.append(place)
        self._moved = moved
        return standing

    def renewed(self) -> None:
        """Note that the reader was started anew: it has the whole limit again."""
        self._moved.clear()
        self._n_in_a_row += 1
        self.n_renewals += 1
