"""Disk quota per project for the copies of sources on this worker."""

import threading
from collections import Counter


class SpoolShares:
    """Byte counters of all projects; thread-safe."""

    def __init__(self, max_bytes: int) -> None:
        """`max_bytes`: the quota of one project; 0 means no limit."""
        self.max_bytes = max_bytes
        self._taken: Counter[str] = Counter()
        self._lock = threading.Lock()

    def of(self, project: str) -> "SpoolShare":
        return SpoolShare(self, project)

    def taken(self, project: str) -> int:
        """Return the number of bytes that the project uses now."""
        with self._lock:
            return self._taken[project]

    def take(self, project: str, n_bytes: int) -> bool:
        """Reserve bytes to be written; False, without a reservation, above the quota."""
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
    """The part of its project's quota that one copy of a source uses."""

    def __init__(self, shares: SpoolShares, project: str) -> None:
        self._shares, self._project = shares, project
        self._n_bytes = 0

    @property
    def max_bytes(self) -> int:
        return self._shares.max_bytes

    def fresh(self) -> "SpoolShare":
        """Return an empty share of the same project for another copy."""
        return self._shares.of(self._project)

    def take(self, n_bytes: int) -> bool:
        """Reserve bytes; False when the project would exceed its quota."""
        taken = self._shares.take(self._project, n_bytes)
        self._n_bytes += n_bytes if taken else 0
        return taken

    def give_back(self) -> None:
        """Return all reserved bytes to the quota; a second call does nothing."""
        n_bytes, self._n_bytes = self._n_bytes, 0
        self._shares.give_back(self._project, n_bytes)
