"""Counts of a live source's pictures: each one received is shown, or dropped for one reason.

The index of a frame is the number of pictures accounted before it. So indexes rise strictly, and
`decoded + undecodable + not decoded = index + 1`, as for files.
"""

from collections.abc import Mapping
from typing import Final, get_args

import msgspec

from streamproc.contract.chunk import DropReason
from streamproc.source.types import FrameCounts

REASONS: Final[tuple[DropReason, ...]] = get_args(DropReason)


class Totals(msgspec.Struct, frozen=True):
    """Counts since a task's start. `index`: of the last picture, -1 before the first."""

    index: int = -1
    decoded: int = 0
    dropped: Mapping[str, int] = {}

    @property
    def counts(self) -> FrameCounts:
        n_failed = self.dropped.get("undecodable", 0)
        return FrameCounts(self.decoded, n_failed, sum(self.dropped.values()) - n_failed)


class Accounts:
    """Running totals; one thread."""

    def __init__(self, start: Totals) -> None:
        self._index = start.index
        self._decoded = start.decoded
        self._dropped = dict(start.dropped)

    @property
    def totals(self) -> Totals:
        return Totals(self._index, self._decoded, dict(self._dropped))

    @property
    def next_index(self) -> int:
        return self._index + 1

    def drop(self, reason: DropReason, n: int = 1) -> None:
        """Count pictures that were not decoded, or could not be."""
        if n:
            self._index += n
            self._dropped[reason] = self._dropped.get(reason, 0) + n

    def decoded(self, reason: DropReason | None = None) -> int:
        """Count a decoded picture, dropped for `reason`, or shown; return its index."""
        self._index += 1
        self._decoded += 1
        if reason is not None:
            self._dropped[reason] = self._dropped.get(reason, 0) + 1
        return self._index

    def withdraw(self, reason: DropReason) -> None:
        """Count a picture that was shown by `decoded`, and is not processed after all."""
        self._dropped[reason] = self._dropped.get(reason, 0) + 1
