"""Last lines of log files, and what is appended to them later.

Logs are rotated by a rename or by truncation (`log_files`), so a tail notices both.
"""

import os
from collections.abc import Iterator
from pathlib import Path

MAX_READ_BYTES = 1024 * 1024
"""How far back the last lines are looked for, and how much one look at a log reads."""


class LogTail:
    """Reader of one log: its last lines first, then the lines that follow. Not thread-safe."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._at = 0
        self._inode: int | None = None
        self._partial = b""

    def last(self, n_lines: int) -> list[str]:
        """Return the last complete lines; `more` continues behind them. [] if there is no log."""
        data = self._read(from_end=True)
        return data[-n_lines:] if n_lines else []

    def more(self) -> list[str]:
        """Return the complete lines that were appended since the last look."""
        return self._read(from_end=False)

    def _read(self, *, from_end: bool) -> list[str]:
        try:
            with self.path.open("rb") as file:
                state = os.fstat(file.fileno())
                if state.st_ino != self._inode or state.st_size < self._at:
                    self._inode, self._at, self._partial = state.st_ino, 0, b""
                skipped = from_end and state.st_size - self._at > MAX_READ_BYTES
                if skipped:
                    self._at = state.st_size - MAX_READ_BYTES
                file.seek(self._at)
                data = self._partial + file.read(MAX_READ_BYTES)
                self._at = file.tell()
        except OSError:
            return []
        *lines, self._partial = data.split(b"\n")
        self._partial = self._partial[-MAX_READ_BYTES:]
        return [line.decode(errors="replace") for line in lines[1 if skipped else 0 :]]


def log_names(logs: Path) -> list[str]:
    """Return the names of the roles that have a log, sorted."""
    return sorted(path.stem for path in logs.glob("*.log"))


def appended(tails: dict[str, LogTail]) -> Iterator[tuple[str, str]]:
    """Yield (role, line) for all that was appended to the logs since the last look."""
    for role, tail in tails.items():
        for line in tail.more():
            yield role, line
