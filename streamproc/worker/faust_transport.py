"""Faust's Kafka transport, with four changes.

A fetch waits 0.3 s: Faust lets it wait 1.5 s for records and has no setting for it. After a
rebalance, the fetch for the former partitions must return before one for the new partitions is
sent. For that time all tasks of the group would stop, including the task of a killed worker.

Refused commits are retried: Faust marks an offset as committed even if a rebalance rejected it.
Records redelivered from there would then be acknowledged without a commit, and the group's lag
would remain until a new record arrives.

Seeks miss no record: after a rebalance, Faust seeks to the committed offsets, because a fetch that
was under way may have returned records that nobody took. aiokafka leaves a partition without a
committed offset where it is, which is behind such records: they would not be read before the next
rebalance.

No look at progress ends the worker: Faust looks for partitions that make none, to log them. In the
moment of a rebalance in which a partition has no position yet, the look fails, and Faust with it.
`streamproc.consumer_watchdog` looks for such partitions, too.
"""

from collections.abc import Mapping
from typing import Any

import faust
from faust.transport.drivers import aiokafka as driver
from faust.types import TP

_FETCH_WAIT_MS = 300


class _Thread(driver.AIOKafkaConsumerThread):
    def _create_worker_consumer(self, transport: Any) -> Any:
        consumer = super()._create_worker_consumer(transport)
        consumer._fetch_max_wait_ms = _FETCH_WAIT_MS  # noqa: SLF001 - read once, at the start
        return consumer

    async def seek_to_committed(self) -> Mapping[TP, int]:
        committed: Mapping[TP, int] = await super().seek_to_committed()
        uncommitted = [place for place, offset in committed.items() if not offset]
        if uncommitted:
            await self.seek_to_beginning(*uncommitted)
        return committed

    def verify_event_path(self, now: float, tp: TP) -> None:
        """Look at nothing."""


class _Consumer(driver.Consumer):
    async def _commit_offsets(
        self, offsets: Mapping[TP, int], start_new_transaction: bool = True
    ) -> bool:
        done: bool = await super()._commit_offsets(offsets, start_new_transaction)
        if not done:
            for place, offset in offsets.items():
                if self._committed_offset[place] == offset:
                    self._committed_offset[place] = None
        return done

    def _new_consumer_thread(self) -> driver.AIOKafkaConsumerThread:
        return _Thread(self, loop=self.loop, beacon=self.beacon)


class Transport(driver.Transport):
    """`driver.Transport` with the changes described above."""

    Consumer = _Consumer


def transport_of(app: faust.App) -> Transport:
    """Return the transport for `app`."""
    return Transport(app.conf.broker_consumer, app)
