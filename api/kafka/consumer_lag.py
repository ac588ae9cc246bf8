"""Consumer lag of the roles for all callers of this process together."""

import asyncio
import time
from collections.abc import Sequence

from api.contract.system import LagResource
from api.kafka.producer import kafka_config
from api.settings import Settings
from streamproc.clients.consumer_lag import ConsumerLag, LagReader
from streamproc.contract.watchdog import Watchdog

FRESH_S = 1.0


class Lag:
    """Queries consumer lag, at most once a second for all callers together."""

    def __init__(self, settings: Settings) -> None:
        self._reader = LagReader(kafka_config(settings))
        self._lock = asyncio.Lock()
        self._asked_s = float("-inf")
        self._known: Sequence[ConsumerLag] = ()
        self._dog: Watchdog[tuple[str, str, int]] = Watchdog(
            settings.watchdog_s, max_unseen_s=float("inf")
        )
        self.stalled: Sequence[tuple[str, int]] = ()
        """Groups and partitions with lag whose commit has not moved for the watchdog's limit.

        This alone does not mean a fault: a commit waits for the work in progress.
        """

    async def get(self, n_partitions: int) -> Sequence[ConsumerLag]:
        """Return the lag of every group in every partition; nothing if Kafka does not answer."""
        async with self._lock:
            if time.monotonic() - self._asked_s > FRESH_S:
                self._known = await asyncio.to_thread(self._reader.read, n_partitions)
                self._asked_s = time.monotonic()
                self._look(self._asked_s)
            return self._known

    def _look(self, now_s: float) -> None:
        positions = {at[:3]: at.end - at.messages for at in self._known}
        ends = {at[:3]: at.end for at in self._known}
        waiting_for = None if self._known else "kafka"
        stalled = self._dog.look(now_s, positions, ends, waiting_for=waiting_for)
        self.stalled = sorted({(group, partition) for group, _, partition in stalled})


def lag_resource(place: ConsumerLag) -> LagResource:
    lag = None if place.committed is None else place.messages
    return LagResource(place.group, place.topic, place.partition, lag)
