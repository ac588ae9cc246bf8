"""Live frames by lag: which bucket a frame is in, and the sum of workers of several versions."""

from math import inf

from streamproc.contract.lag_counts import BOUNDS_S, LagCounts, total, with_lag


def counted(*lags_s: float) -> LagCounts:
    found = LagCounts()
    for lag_s in lags_s:
        found = with_lag(found, lag_s)
    return found


def by_bound(found: LagCounts) -> dict[float, int]:
    """Return the buckets that have frames, the last one as infinity."""
    pairs = zip((*BOUNDS_S, inf), found.counts, strict=True)
    return {bound_s: n for bound_s, n in pairs if n}


def test_a_bound_is_in_its_own_bucket_and_the_last_bucket_has_no_bound() -> None:
    found = counted(0.0, 0.05, 0.051, 1.0, 30.0, 31.0)
    assert by_bound(found) == {
        0.05: 2,
        0.1: 1,
        1.0: 1,
        30.0: 1,
        inf: 1,
    }
    assert round(found.sum_s, 3) == 62.101


def test_a_clock_that_is_ahead_takes_nothing_from_the_sum() -> None:
    found = counted(0.5, -3.0)
    assert (found.counts[0], found.sum_s) == (1, 0.5)


def test_workers_are_added_and_bounds_of_another_version_count_as_the_next_larger_one() -> None:
    other = LagCounts((0.3, 60.0), (4, 2, 1), 100.0)
    found = total([counted(0.4, 20.0), other])
    assert by_bound(found) == {
        0.5: 5,
        30.0: 1,
        inf: 3,
    }
    assert round(found.sum_s, 1) == 120.4
    assert total([]) == LagCounts()
