"""A budget of bytes that requests hold in memory, shared by all of a process.

An owner may hold a share, so that one project's uploads leave room for another's; and what is
large may not take the last part, so that small requests go on while uploads fill the rest.
"""

from collections import Counter

SMALL_BYTES = 1024 * 1024
_KEPT_FOR_SMALL = 8  # one part of so many


class ByteBudget:
    """Use from one event loop. `share_bytes` bounds what one owner holds."""

    def __init__(self, total_bytes: int, share_bytes: int | None = None) -> None:
        self.total_bytes = total_bytes
        self.share_bytes = total_bytes if share_bytes is None else min(share_bytes, total_bytes)
        self.held_bytes = 0
        self._held: Counter[str] = Counter()

    def fits(self, n_bytes: int, *, large: bool = False) -> bool:
        """Whether so many more may be held by somebody."""
        most = self.total_bytes - self.total_bytes // _KEPT_FOR_SMALL if large else self.total_bytes
        return self.held_bytes + n_bytes <= most

    def fits_share(self, owner: str, n_bytes: int) -> bool:
        """Whether the owner may hold so many more of its share."""
        return self._held[owner] + n_bytes <= self.share_bytes

    def take(self, n_bytes: int, owner: str = "") -> None:
        """Hold the bytes: look before whether they fit."""
        self.held_bytes += n_bytes
        self._held[owner] += n_bytes

    def give(self, n_bytes: int, owner: str = "") -> None:
        """Hold so many bytes less."""
        self.held_bytes -= n_bytes
        self._held[owner] -= n_bytes
        if not self._held[owner]:
            del self._held[owner]
