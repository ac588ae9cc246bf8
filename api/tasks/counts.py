"""Counts of a list's rows, exact up to a limit."""

from msgspec import UNSET

from api.contract.counts import Counts
from api.store.task_queries import MAX_COUNTED


def counts_of(matching: int, total: int) -> Counts:
    """Return the counts, which are exact up to `MAX_COUNTED`."""
    is_capped = max(matching, total) > MAX_COUNTED
    return Counts(min(matching, MAX_COUNTED), min(total, MAX_COUNTED), True if is_capped else UNSET)
