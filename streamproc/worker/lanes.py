"""Two lanes of a thread pool, live before batch: which item a free thread takes next. Sans-IO.

    live   ─►┐
             ├─► a free thread takes the oldest live item; but at least every fifth item is a batch
    batch  ─►┘   item, if one waits and a thread may take it

An item that runs is not interrupted, so a live frame that finds every thread at work on batch
frames would wait for one of them. While live items come, batch items may use all threads but one.
Live items come in intervals, and the pool cannot know the next one: the thread is kept free for
`LINGER_S` after the last live item.
"""

from collections import deque
from enum import Enum
from typing import Generic, NamedTuple, TypeVar

T = TypeVar("T")

LIVE_IN_A_ROW = 4
"""Live items that go before a waiting batch item; the next one is a batch item."""
LINGER_S = 3.0
"""How long a thread stays free of batch items after the last live one."""


class Lane(Enum):
    """The queue of an item."""

    LIVE = "live"
    BATCH = "batch"


class Taken(NamedTuple, Generic[T]):
    """An item that a thread runs now; report its end with `Lanes.ended`."""

    lane: Lane
    item: T


class Lanes(Generic[T]):
    """The queues of one pool of `n_threads`; times are monotonic seconds. Not thread-safe."""

    def __init__(self, n_threads: int) -> None:
        self._waiting: dict[Lane, deque[T]] = {lane: deque() for lane in Lane}
        self._running = dict.fromkeys(Lane, 0)
        self._n_threads = n_threads
        self._batch_beside_live = max(1, n_threads - 1)
        self._live_in_a_row = 0
        self._live_until_s = float("-inf")

    def put(self, lane: Lane, item: T, now_s: float) -> None:
        """Queue an item at the end of its lane."""
        self._waiting[lane].append(item)
        self._note(lane, now_s)

    def take(self, now_s: float) -> Taken[T] | None:
        """Return the item that a free thread runs next; None: there is none that it may run."""
        lane = self._next_lane(now_s)
        if lane is None:
            return None
        self._live_in_a_row = self._live_in_a_row + 1 if lane is Lane.LIVE else 0
        self._running[lane] += 1
        return Taken(lane, self._waiting[lane].popleft())

    def ended(self, lane: Lane, now_s: float) -> None:
        """Note that an item of this lane, which `take` returned, runs no more."""
        self._running[lane] -= 1
        self._note(lane, now_s)

    def waits_s(self, now_s: float) -> float | None:
        """Return the seconds after which time alone may give a thread an item; None: never."""
        held_back = self._waiting[Lane.BATCH] and not self._waiting[Lane.LIVE]
        if not held_back or self._running[Lane.LIVE]:
            return None
        left_s = self._live_until_s - now_s
        return left_s if left_s > 0 else None

    def drained(self) -> list[T]:
        """Remove and return all items that wait."""
        items = [item for waiting in self._waiting.values() for item in waiting]
        for waiting in self._waiting.values():
            waiting.clear()
        return items

    @property
    def is_empty(self) -> bool:
        """Whether no item waits."""
        return not any(self._waiting.values())

    def _next_lane(self, now_s: float) -> Lane | None:
        batch = self._waiting[Lane.BATCH] and self._batch_has_room(now_s)
        if self._waiting[Lane.LIVE]:
            is_turn_of_batch = batch and self._live_in_a_row >= LIVE_IN_A_ROW
            return Lane.BATCH if is_turn_of_batch else Lane.LIVE
        return Lane.BATCH if batch else None

    def _batch_has_room(self, now_s: float) -> bool:
        most = self._batch_beside_live if now_s < self._live_until_s else self._n_threads
        return self._running[Lane.BATCH] < most

    def _note(self, lane: Lane, now_s: float) -> None:
        if lane is Lane.LIVE:
            self._live_until_s = now_s + LINGER_S
