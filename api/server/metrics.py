"""Prometheus metrics of connections: open ones, and refused or closed ones by reason."""

from collections.abc import Iterator

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from api.server.connections import Connections


class ConnectionCollector(Collector):
    """Prometheus collector that reads the connection counts when it is scraped."""

    def __init__(self, connections: Connections) -> None:
        self._connections = connections

    def collect(self) -> Iterator[Metric]:
        yield GaugeMetricFamily(
            "framewire_api_connections", "Open connections", value=len(self._connections)
        )
        refused = CounterMetricFamily(
            "framewire_api_connections_refused",
            "Connections that were refused or closed, by reason",
            labels=["reason"],
        )
        for reason, count in sorted(self._connections.n_refused.items()):
            refused.add_metric([reason], count)
        yield refused
