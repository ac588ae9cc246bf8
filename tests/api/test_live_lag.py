"""/metrics has a histogram of live frames' lag, which a Prometheus reader takes."""

import msgspec
from prometheus_client.parser import text_string_to_metric_families

from api.live_lag import NAME
from api.metrics import Metrics
from streamproc.contract.lag_counts import LagCounts, with_lag
from tests.golden.values import WORKER_BEAT


def samples(metrics: Metrics) -> dict[str, float]:
    """Return the histogram's samples, buckets by their `le`."""
    families = text_string_to_metric_families(metrics.render().decode())
    family = next(one for one in families if one.name == NAME)
    assert family.type == "histogram"
    return {
        one.labels.get("le", one.name.removeprefix(f"{NAME}_")): one.value for one in family.samples
    }


def test_buckets_are_cumulative_over_the_workers_that_count() -> None:
    metrics = Metrics()
    first = with_lag(with_lag(LagCounts(), 0.15), 0.7)
    second = with_lag(with_lag(LagCounts(), 0.15), 45.0)
    beats = [msgspec.structs.replace(WORKER_BEAT, lags=one) for one in (first, second, None)]
    metrics.set_workers(beats)
    found = samples(metrics)
    assert found == {
        **dict.fromkeys(("0.05", "0.1"), 0.0),
        **dict.fromkeys(("0.2", "0.5"), 2.0),
        **dict.fromkeys(("1.0", "2.0", "5.0", "10.0", "30.0"), 3.0),
        "+Inf": 4.0,
        "count": 4.0,
        "sum": 46.0,
    }
    metrics.set_workers(beats[:1])
    assert samples(metrics)["count"] == 2.0


def test_it_is_there_and_empty_before_any_worker() -> None:
    found = samples(Metrics())
    assert (found["+Inf"], found["count"], found["sum"]) == (0.0, 0.0, 0.0)
