"""Logs of the running local stack's children, as one sequence of lines."""

from collections.abc import Mapping
from pathlib import Path

from console.stack.data_directory import DataDirectory, default_data_dir
from console.stack.log_tail import LogTail, log_names

LAST_LINES = 200
"""Of each log, to begin with."""


class LocalLogs:
    """Reads the logs in a folder, which need not be there yet. Not thread-safe."""

    def __init__(self, logs: Path) -> None:
        self._logs = logs
        self._tails: dict[str, LogTail] = {}

    def read(self) -> list[tuple[str, str]]:
        """Return (role, line) for all that was appended; at first the last lines of each log."""
        found = []
        for role in log_names(self._logs):
            tail = self._tails.get(role)
            if tail is None:
                tail = self._tails[role] = LogTail(self._logs / f"{role}.log")
                found += [(role, line) for line in tail.last(LAST_LINES)]
            else:
                found += [(role, line) for line in tail.more()]
        return found


def logs_of(url: str, environ: Mapping[str, str]) -> LocalLogs | None:
    """Return the logs of the stack whose api has this URL; None if no local stack has."""
    directory = DataDirectory(default_data_dir(environ))
    running = directory.running()
    if running is None or running.url != url.rstrip("/"):
        return None
    return LocalLogs(directory.logs)
