"""Memory budget: bytes that requests may hold, shared by all requests of a process.

An owner may hold only a share, so that one project's uploads leave capacity for others. Large
requests may not use the last part, so that small requests continue while uploads fill the rest.
"""

from collections import Counter

SMALL_BYTES = 1024 * 1024
_KEPT_FOR_SMALL = 8  # one eighth of the budget


class ByteBudget:
    """A byte budget with shares. `share_bytes` bounds one owner. Use from one event loop."""

    def __init__(self, total_bytes: int, share_bytes: int | None = None) -> None:
        self.total_bytes = total_bytes
        self.share_bytes = total_bytes if share_bytes is None else min(share_bytes, total_bytes)
        self.held_bytes = 0
        self._held: Counter[str] = Counter()

    def fits(self, n_bytes: int, *, large: bool = False) -> bool:
        """Return whether `n_bytes` more fit into the budget; `large`: without the last part."""
        most = self.total_bytes - self.total_bytes // _KEPT_FOR_SMALL if large else self.total_bytes
        return self.held_bytes + n_bytes <= most

    def fits_share(self, owner: str, n_bytes: int) -> bool:
        """Return whether `n_bytes` more fit into the owner's share."""
        return self._held[owner] + n_bytes <= self.share_bytes

    def take(self, n_bytes: int, owner: str = "") -> None:
        """Hold `n_bytes` more. The caller checks first that they fit."""
        self.held_bytes += n_bytes
        self._held[owner] += n_bytes

    def give(self, n_bytes: int, owner: str = "") -> None:
        """Release `n_bytes`."""
        self.held_bytes -= n_bytes
        self._held[owner] -= n_bytes
        if not self._held[owner]:
            del self._held[owner]
