"""Prometheus histogram of live frames' lag, from the counts in the workers' heartbeats."""

from collections.abc import Iterable, Iterator
from itertools import accumulate
from typing import Final

from prometheus_client.core import HistogramMetricFamily
from prometheus_client.registry import Collector
from prometheus_client.utils import floatToGoString

from streamproc.contract.lag_counts import LagCounts, total

NAME: Final = "framewire_live_frame_lag_seconds"
_HELP: Final = "Time from a live frame's capture to its chunk, of frames since the workers' start"


class LiveLagCollector(Collector):
    """Shows what `set` was last given: the workers count, not this process."""

    def __init__(self) -> None:
        self._shown = LagCounts()

    def set(self, parts: Iterable[LagCounts]) -> None:
        """Replace the counts by the sum of those of the workers that are alive."""
        self._shown = total(parts)

    def collect(self) -> Iterator[HistogramMetricFamily]:
        shown = self._shown
        bounds = (*map(floatToGoString, shown.bounds_s), "+Inf")
        buckets = list(zip(bounds, accumulate(shown.counts), strict=True))
        yield HistogramMetricFamily(NAME, _HELP, buckets=buckets, sum_value=shown.sum_s)
