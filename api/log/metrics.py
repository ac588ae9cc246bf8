"""Prometheus metrics of the log reader, read at scrape time; no counter is stored twice."""

from collections.abc import Iterable

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from api.log.reader import LogReader


class LogCollector(Collector):
    """Prometheus collector of a log reader; register it with the process's registry."""

    def __init__(self, log: LogReader) -> None:
        self._log = log

    def collect(self) -> Iterable[Metric]:
        """Yield the current values."""
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
