"""CPU time and resident memory of this process, for its heartbeats and for the api's answers."""

import time
from collections.abc import Callable
from typing import NamedTuple

import psutil

LEAST_S = 1.0
"""CPU time is measured over this time at least: shorter ones have few ticks."""


class Usage(NamedTuple):
    """`cpu_percent`: since the measurement before, 100 is one core; None before the first one."""

    cpu_percent: float | None
    rss_bytes: int


class ProcessUsage:
    """Measures this process; callers within `LEAST_S` get the same figures."""

    def __init__(self, clock_s: Callable[[], float] = time.monotonic) -> None:
        self._process = psutil.Process()
        self._process.cpu_percent(None)  # the first call only begins to count
        self._clock_s = clock_s
        self._measured_s = clock_s()
        self._cpu_percent: float | None = None

    def read(self) -> Usage:
        """Return the figures of now."""
        now_s = self._clock_s()
        if now_s - self._measured_s >= LEAST_S:
            self._measured_s = now_s
            self._cpu_percent = round(self._process.cpu_percent(None), 1)
        return Usage(self._cpu_percent, self._process.memory_info().rss)
