"""In which order events may be acknowledged: per partition by offset, whatever finishes first.

Faust commits past an offset that is still in work when a later one is acked before it. So an
event is only released once all earlier ones of its partition are done. Sans-IO.
"""

from collections.abc import Hashable
from typing import Generic, TypeVar

T = TypeVar("T")


class OrderedAcks(Generic[T]):
    """Events in work, per partition in the order in which they began."""

    def __init__(self) -> None:
        self._waiting: dict[Hashable, dict[int, T]] = {}
        self._done: dict[Hashable, set[int]] = {}

    def begin(self, partition: Hashable, offset: int, event: T) -> None:
        """Note an event; one that comes again takes the place of its former delivery.

        The former delivery counts for nothing from then on. It may still be in work, overtaken by
        the later one's claim: if it could acknowledge, and the later one died, nobody would be
        left to go on with the task.
        """
        self._waiting.setdefault(partition, {})[offset] = event
        self._done.setdefault(partition, set()).discard(offset)

    def finish(self, partition: Hashable, offset: int, event: T) -> list[T]:
        """Note that this delivery is done and return the events to acknowledge now, in order."""
        waiting = self._waiting.get(partition, {})
        done = self._done.get(partition, set())
        if waiting.get(offset) is not event:
            return []
        done.add(offset)
        released = []
        for place in sorted(waiting):
            if place not in done:
                break
            done.discard(place)
            released.append(waiting.pop(place))
        return released

    def holds(self, partition: Hashable, offset: int, event: T) -> bool:
        """Whether this delivery still counts: its partition was not taken away since."""
        return self._waiting.get(partition, {}).get(offset) is event

    def drop(self, partition: Hashable) -> None:
        """Forget a partition that was taken away: its events will be delivered elsewhere."""
        self._waiting.pop(partition, None)
        self._done.pop(partition, None)

    def __len__(self) -> int:
        return sum(len(events) for events in self._waiting.values())
