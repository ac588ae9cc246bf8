"""Stall detection for a Kafka consumer. Sans-IO: the caller passes the clock.

A partition *stands* (is stalled) if records are available after the reader's position, and the
position has not moved for the limit. It is not stalled while there is nothing to read, while the
reader waits for something that it names (its store, a free slot: a restart would not help in such
an outage), while Kafka does not report the end offset, or over a time without checks.
"""

from collections.abc import Hashable, Mapping
from typing import Generic, TypeVar

P = TypeVar("P", bound=Hashable)

DEFAULT_LIMIT_S = 60.0
RENEWALS = 3
"""Renewals in a row without a record read, after which the reader's process should exit."""


class Watchdog(Generic[P]):
    """Checks the partitions of one reader; with `limit_s` 0 none is ever stalled.

    `max_unseen_s`: a longer time between two checks does not count; default: half the limit.
    """

    def __init__(self, limit_s: float, *, max_unseen_s: float | None = None) -> None:
        self._limit_s = limit_s
        self._max_unseen_s = limit_s / 2 if max_unseen_s is None else max_unseen_s
        self._moved: dict[P, tuple[int, float]] = {}  # position, unchanged since
        self._looked_s: float | None = None
        self._n_in_a_row = 0
        self.n_renewals = 0

    @property
    def is_hopeless(self) -> bool:
        """Whether renewing the reader did not help, `RENEWALS` times in a row."""
        return self._n_in_a_row >= RENEWALS

    def look(
        self,
        now_s: float,
        positions: Mapping[P, int],
        ends: Mapping[P, int],
        *,
        waiting_for: str | None = None,
    ) -> list[P]:
        """Return the stalled partitions; `positions` and `ends` are next offsets.

        A partition is missing in `ends` while Kafka does not report its end offset.
        """
        unseen_s = 0.0 if self._looked_s is None else now_s - self._looked_s
        late_s = unseen_s if unseen_s > self._max_unseen_s else 0.0  # no checks ran in this time
        self._looked_s = now_s
        stalled: list[P] = []
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
                stalled.append(place)
        self._moved = moved
        return stalled

    def renewed(self) -> None:
        """Record that the reader was renewed: the limit starts again."""
        self._moved.clear()
        self._n_in_a_row += 1
        self.n_renewals += 1
