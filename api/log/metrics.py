"""What a log reader counts, for Prometheus: read when somebody asks, nothing is kept twice."""

from collections.abc import Iterable

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from api.log.reader import LogReader


class LogCollector(Collector):
    """Register it with a process's registry."""

    def __init__(self, log: LogReader) -> None:
        self._log = log

    def collect(self) -> Iterable[Metric]:
        """Return the figures as they are now."""
        log = self._log
        yield GaugeMetricFamily(
            "framewire_api_ring_bytes", "Bytes of live log in memory", log.tail_cache.size_bytes
        )
        yield GaugeMetricFamily(
            "framewire_api_cache_bytes", "Bytes of segments in memory", log.cache.size_bytes
        )
        yield CounterMetricFamily(
            "framewire_api_segment_reads", "Reads of segments from S3", log.cache.n_reads
        )
        yield CounterMetricFamily(
            "framewire_api_segment_read_bytes",
            "Bytes of segments read from S3",
            log.cache.read_bytes,
        )
        yield CounterMetricFamily(
            "framewire_api_log_gaps", "Gaps met in the tail: healed from S3", log.tail_cache.n_gaps
        )
        yield CounterMetricFamily(
            "framewire_api_readers_expired",
            "Readers that took nothing and were let go",
            log.deadlines.n_expired,
        )
