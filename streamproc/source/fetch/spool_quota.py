"""How many bytes of sources each project has copied to this worker's disk, and may have."""

import threading
from collections import Counter


class SpoolShares:
    """The shares of all projects; thread-safe."""

    def __init__(self, max_bytes: int) -> None:
        """`max_bytes` of one project; 0 is no limit."""
        self.max_bytes = max_bytes
        self._taken: Counter[str] = Counter()
        self._lock = threading.Lock()

    def of(self, project: str) -> "SpoolShare":
        return SpoolShare(self, project)

    def taken(self, project: str) -> int:
        """Return how many bytes the project has now."""
        with self._lock:
            return self._taken[project]

    def take(self, project: str, n_bytes: int) -> bool:
        """Note bytes to be written; False, and nothing is noted, when they are too many."""
        with self._lock:
            if self.max_bytes and self._taken[project] + n_bytes > self.max_bytes:
                return False
            self._taken[project] += n_bytes
            return True

    def give_back(self, project: str, n_bytes: int) -> None:
        with self._lock:
            self._taken[project] -= n_bytes
            if not self._taken[project]:
                del self._taken[project]


class SpoolShare:
    """What one copy of a source takes of its project's share."""

    def __init__(self, shares: SpoolShares, project: str) -> None:
        self._shares, self._project = shares, project
        self._n_bytes = 0

    @property
    def max_bytes(self) -> int:
        return self._shares.max_bytes

    def fresh(self) -> "SpoolShare":
        """Return the share for another copy."""
        return self._shares.of(self._project)

    def take(self, n_bytes: int) -> bool:
        """Take bytes; False when the project has as many as it may."""
        taken = self._shares.take(self._project, n_bytes)
        self._n_bytes += n_bytes if taken else 0
        return taken

    def give_back(self) -> None:
        """Return all that was taken; the second time nothing."""
        n_bytes, self._n_bytes = self._n_bytes, 0
        self._shares.give_back(self._project, n_bytes)
