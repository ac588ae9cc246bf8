"""librdkafka's mock cluster as a broker for other processes; its data is lost with this process.

For a machine that cannot resolve Apache Kafka's jars. A topic is created by its first metadata
request, always with `N_PARTITIONS` partitions and about 5 MiB of retention each.
"""

import json
import signal
import sys

from confluent_kafka import Producer

N_PARTITIONS = 4


def run() -> None:
    """Serve until SIGTERM; prints `{"bootstrap": "host:port"}` on its own line when ready."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    producer = Producer({"test.mock.num.brokers": 1, "bootstrap.servers": "unused"})
    broker = next(iter(producer.list_topics(timeout=10).brokers.values()))
    print(json.dumps({"bootstrap": f"{broker.host}:{broker.port}"}), flush=True)  # noqa: T201
    while True:
        producer.poll(1.0)
