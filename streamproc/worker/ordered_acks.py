"""In-order acknowledgement: per partition by offset, regardless of which event finishes first.

Faust commits past an offset that is still in work if a later one is acknowledged before it.
Therefore an event is released only once all earlier ones of its partition are done. Sans-IO.
"""

from collections.abc import Hashable
from typing import Generic, TypeVar

T = TypeVar("T")


class OrderedAcks(Generic[T]):
    """Events in work, per partition in the order of their start."""

    def __init__(self) -> None:
        self._waiting: dict[Hashable, dict[int, T]] = {}
        self._done: dict[Hashable, set[int]] = {}

    def begin(self, partition: Hashable, offset: int, event: T) -> None:
        """Register an event; a redelivered event replaces its former delivery.

        The former delivery no longer counts. It may still be in work, fenced by the claim of the
        later one: if the former one could acknowledge, and the later one crashed, nothing would
        continue the task.
        """
        self._waiting.setdefault(partition, {})[offset] = event
        self._done.setdefault(partition, set()).discard(offset)

    def finish(self, partition: Hashable, offset: int, event: T) -> list[T]:
        """Mark this delivery as done; return the events to acknowledge now, in order."""
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
        """Return whether this delivery still counts: its partition was not revoked since."""
        return self._waiting.get(partition, {}).get(offset) is event

    def drop(self, partition: Hashable) -> None:
        """Forget a revoked partition: its events will be delivered to another worker."""
        self._waiting.pop(partition, None)
        self._done.pop(partition, None)

    def __len__(self) -> int:
        return sum(len(events) for events in self._waiting.values())
