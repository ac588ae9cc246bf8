"""Batching with few batch sizes: a compiled network is tuned again for every new size."""

from collections.abc import Iterator, Sequence
from typing import TypeVar

T = TypeVar("T")

SIZES = (8, 4, 2, 1)


def batches(items: Sequence[T]) -> Iterator[Sequence[T]]:
    """Yield consecutive batches of 8, 4, 2 and 1 items, largest first: 13 items are 8 + 4 + 1."""
    start = 0
    for size in SIZES:
        while len(items) - start >= size:
            yield items[start : start + size]
            start += size
