"""Faust's Kafka transport with a shorter wait at the broker.

Faust lets a fetch wait 1.5 s for records, and offers no setting. After a rebalance the fetch for
the former partitions must come back before one for the new ones is sent: for so long every task of
the group would stand still, and a killed worker's task too.
"""

from typing import Any

import faust
from faust.transport.drivers import aiokafka as driver

_FETCH_WAIT_MS = 300


class _Thread(driver.AIOKafkaConsumerThread):
    def _create_worker_consumer(self, transport: Any) -> Any:
        consumer = super()._create_worker_consumer(transport)
        consumer._fetch_max_wait_ms = _FETCH_WAIT_MS  # noqa: SLF001 - read once, when it starts
        return consumer


class _Consumer(driver.Consumer):
    def _new_consumer_thread(self) -> driver.AIOKafkaConsumerThread:
        return _Thread(self, loop=self.loop, beacon=self.beacon)


class Transport(driver.Transport):
    """`driver.Transport`, but for the wait."""

    Consumer = _Consumer


def transport_of(app: faust.App) -> Transport:
    """Return the transport that `app` is to use."""
    return Transport(app.conf.broker_consumer, app)
