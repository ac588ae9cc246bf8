"""Majority vote on the class of a track, for detectors that confuse similar classes."""

from collections.abc import Iterable

import numpy as np
import numpy.typing as npt

Classes = npt.NDArray[np.int32]


class ClassGroups:
    """Groups of class ids within which a track may change; any other class is its own group."""

    def __init__(self, groups: Iterable[Iterable[int]]) -> None:
        """Raises ValueError when a class is in two groups."""
        self._members = [sorted(set(group)) for group in groups]
        self._home = {c: (m[0], place) for m in self._members for place, c in enumerate(m)}
        if len(self._home) != sum(map(len, self._members)):
            raise ValueError("a class belongs to two groups")
        self._of_name = {members[0]: members for members in self._members if members}
        self.largest = max(map(len, self._members), default=1) or 1

    def names(self, classes: Classes) -> Classes:
        """Return the group of each class, identified by the group's lowest class id."""
        if not self._home:
            return classes
        return np.array([self._home.get(c, (c, 0))[0] for c in classes.tolist()], np.int32)

    def places(self, classes: Classes) -> npt.NDArray[np.intp]:
        """Return the index of each class within its group."""
        return np.array([self._home.get(c, (c, 0))[1] for c in classes.tolist()], np.intp)

    def elected(
        self, present: Classes, names: Classes, votes: npt.NDArray[np.float64], ratio: float
    ) -> Classes:
        """Return the class of each track by `votes (n, largest)`.

        A track changes its class if another one has more than `ratio` times the votes of `present`.
        """
        if not self._home:
            return present
        rows = np.arange(len(present))
        leaders = votes.argmax(axis=1)
        beaten = votes[rows, leaders] > ratio * votes[rows, self.places(present)]
        out = present.copy()
        for row in np.flatnonzero(beaten):
            out[row] = self._of_name[int(names[row])][leaders[row]]
        return out
