"""Histogram of live frames by lag: the time from a frame's capture to its chunk."""

from bisect import bisect_left
from collections.abc import Iterable
from typing import Final

import msgspec

BOUNDS_S: Final = (0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0)


class LagCounts(msgspec.Struct, frozen=True):
    """Frames of live tasks by lag, since a worker's start.

    `counts[n]`: frames with a lag of at most `bounds_s[n]` and more than the bound before; the last
    count, one more than bounds, has the rest. `sum_s`: of all lags. The bounds are stored because
    those of another version may differ.
    """

    bounds_s: tuple[float, ...] = BOUNDS_S
    counts: tuple[int, ...] = (0,) * (len(BOUNDS_S) + 1)
    sum_s: float = 0.0


def with_lag(before: LagCounts, lag_s: float) -> LagCounts:
    """Return the counts with one frame more; a negative lag counts as 0."""
    counts = [*before.counts]
    counts[bisect_left(before.bounds_s, lag_s)] += 1
    return LagCounts(before.bounds_s, tuple(counts), before.sum_s + max(lag_s, 0.0))


def total(parts: Iterable[LagCounts]) -> LagCounts:
    """Return the sum of several workers' counts, in buckets of `BOUNDS_S`.

    What another version counted in a bucket that does not exist here is in the next larger one.
    """
    counts, sum_s = [0] * (len(BOUNDS_S) + 1), 0.0
    for part in parts:
        for bound_s, n in zip((*part.bounds_s, float("inf")), part.counts, strict=False):
            counts[bisect_left(BOUNDS_S, bound_s)] += n
        sum_s += part.sum_s
    return LagCounts(BOUNDS_S, tuple(counts), sum_s)
