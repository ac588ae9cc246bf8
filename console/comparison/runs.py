"""Sets of frame places as runs `[start, end)`: a track is seen in few runs of many frames."""

from array import array
from collections.abc import Iterator


class Runs:
    """A growing set of places, in ascending runs that do not touch."""

    __slots__ = ("_bounds", "n_places")

    def __init__(self) -> None:
        self._bounds = array("q")  # start, end, start, end …
        self.n_places = 0

    def add(self, place: int) -> bool:
        """Add a place that is not below any other; return whether it begins a new run."""
        bounds = self._bounds
        if bounds and place < bounds[-1]:
            return False
        self.n_places += 1
        if bounds and place == bounds[-1]:
            bounds[-1] = place + 1
            return False
        bounds.extend((place, place + 1))
        return True

    def __iter__(self) -> Iterator[tuple[int, int]]:
        bounds = self._bounds
        return zip(bounds[::2], bounds[1::2], strict=True)

    def __len__(self) -> int:
        """Return the number of runs."""
        return len(self._bounds) // 2

    @property
    def first(self) -> int:
        """The lowest place; raises IndexError without any."""
        return self._bounds[0]


def without(runs: Runs, others: Runs) -> Runs:
    """Return the places of `runs` that `others` do not have."""
    left = Runs()
    theirs = list(others)
    at = 0
    for start, end in runs:
        while at < len(theirs) and theirs[at][1] <= start:
            at += 1
        place, other = start, at
        while other < len(theirs) and theirs[other][0] < end:
            _append(left, place, theirs[other][0])
            place = max(place, theirs[other][1])
            other += 1
        _append(left, place, end)
    return left


def united(runs: Runs, others: Runs) -> Runs:
    """Return the places of either."""
    out = Runs()
    start, end = 0, 0
    for one_start, one_end in sorted([*runs, *others]):
        if one_start > end:
            _append(out, start, end)
            start = one_start
        end = max(end, one_end) if one_start <= end else one_end
    _append(out, start, end)
    return out


def _append(runs: Runs, start: int, end: int) -> None:
    if start >= end:
        return
    bounds = runs._bounds  # noqa: SLF001 - of this module's own class
    runs.n_places += end - start
    if bounds and bounds[-1] == start:
        bounds[-1] = end
    else:
        bounds.extend((start, end))
