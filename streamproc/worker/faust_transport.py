"""Faust's Kafka transport with a shorter wait at the broker, and commits that failed forgotten.

Faust lets a fetch wait 1.5 s for records, and offers no setting. After a rebalance the fetch for
the former partitions must come back before one for the new ones is sent: for so long every task of
the group would stand still, and a killed worker's task too.

And it notes an offset as committed though a rebalance has refused the commit. What is delivered
again from there would then be acknowledged in vain, and the group's lag stay until something new
comes.
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
        consumer._fetch_max_wait_ms = _FETCH_WAIT_MS  # noqa: SLF001 - read once, when it starts
        return consumer


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
    """`driver.Transport`, but for the above."""

    Consumer = _Consumer


def transport_of(app: faust.App) -> Transport:
    """Return the transport that `app` is to use."""
    return Transport(app.conf.broker_consumer, app)
