"""Disk space reserve: refuse new tasks while the disk of the embedded engines is nearly full."""

import shutil
import time
from collections.abc import Callable
from pathlib import Path

import structlog

from api.errors import ProblemError

LOOK_S = 1.0
WARN_S = 60.0
_log = structlog.get_logger("framewire.api")


class DiskReservedError(ProblemError):
    """The remaining disk space is reserved for the tasks that already exist."""

    status = 507
    code = "disk_reserved"
    title = "Insufficient Storage"


class DiskReserve:
    """Refuses tasks while less than `reserve_bytes` are free at `path`; None refuses nothing."""

    def __init__(
        self,
        path: Path | None,
        reserve_bytes: int,
        free_bytes: Callable[[Path], int] = lambda path: shutil.disk_usage(path).free,
        clock_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self._path, self._reserve_bytes = path, reserve_bytes
        self._free_bytes, self._clock_s = free_bytes, clock_s
        self._free = 0
        self._looked_s = self._warned_s = float("-inf")

    def admit(self) -> None:
        """Return if a task may be accepted; else raise DiskReservedError."""
        if self._path is None or self._reserve_bytes == 0:
            return
        now_s = self._clock_s()
        if now_s - self._looked_s >= LOOK_S:
            self._free, self._looked_s = self._seen(self._path, now_s), now_s
        if self._free >= self._reserve_bytes:
            return
        free_mib, reserve_mib = self._free >> 20, self._reserve_bytes >> 20
        if now_s - self._warned_s >= WARN_S:
            self._warned_s = now_s
            _log.warning("the disk is nearly full", free_mib=free_mib, reserve_mib=reserve_mib)
        raise DiskReservedError(
            f"The server's disk has {free_mib} MiB left, and {reserve_mib} MiB are reserved for"
            " running tasks: free some, or lower FRAMEWIRE_DISK_RESERVE_BYTES.",
            extra={"free_bytes": self._free, "reserve_bytes": self._reserve_bytes},
            headers={"Retry-After": str(int(WARN_S))},
        )

    def _seen(self, path: Path, now_s: float) -> int:
        """Return the free bytes, or the reserve if they cannot be read: then nothing is refused."""
        try:
            return self._free_bytes(path)
        except OSError as exc:
            if now_s - self._warned_s >= WARN_S:
                self._warned_s = now_s
                _log.warning("the disk's free space is not known", reason=exc.strerror)
            return self._reserve_bytes
