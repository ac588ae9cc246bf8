"""Watchdog for a consumer of this process, called from the thread that polls.

It requests the partitions' end offsets from Kafka, because a stopped fetcher does not know them.
It asks through another consumer: Kafka answers the requests of a connection in their order, so each
question would wait behind a fetch that waits for records, and the reader behind the question.
It watches only consumers without a group; `streamproc.consumer_watchdog` watches groups.
"""

import time
from collections.abc import Callable, Sequence

from confluent_kafka import Consumer, KafkaException, TopicPartition

from streamproc.contract.watchdog import Watchdog

Place = tuple[str, int]
_ASK_S = 2.0


class ConsumerPulse:
    """Checks a consumer's progress, at most four times within `limit_s`; 0 disables it.

    `asker`: a consumer that is assigned nothing.
    """

    def __init__(
        self,
        consumer: Consumer,
        asker: Consumer,
        places: Sequence[Place],
        limit_s: float,
        clock_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self._consumer, self._asker, self._places = consumer, asker, places
        self._limit_s, self._clock_s = limit_s, clock_s
        self._dog: Watchdog[Place] = Watchdog(limit_s)
        self._next_s = clock_s() + limit_s / 4

    def stalled(self, *, waiting_for: str | None = None) -> list[Place]:
        """Return the partitions that make no progress; an empty list between two checks."""
        now_s = self._clock_s()
        if not self._limit_s or now_s < self._next_s:
            return []
        self._next_s = now_s + self._limit_s / 4
        positions: dict[Place, int] = {}
        ends: dict[Place, int] = {}
        try:
            found = self._consumer.position([TopicPartition(*place) for place in self._places])
            for at in found:
                place = (at.topic, at.partition)
                low, high = self._asker.get_watermark_offsets(
                    TopicPartition(*place), timeout=_ASK_S
                )
                positions[place] = max(at.offset, low)
                ends[place] = high
        except KafkaException:
            waiting_for = waiting_for or "kafka"
        return self._dog.look(self._clock_s(), positions, ends, waiting_for=waiting_for)
