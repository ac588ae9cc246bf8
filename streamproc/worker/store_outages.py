"""Waiting for Framewire's own S3 during an outage: tasks hold no place, one probe serves them all.

While S3 does not answer, it is probed with exponential back-off, whatever the number of waiting
tasks. Once it answers, each task restarts from its message, as if that had just arrived. A task
that fails again although S3 answers (one object may be unreachable) waits longer each time.
"""

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import structlog
from cachetools import LRUCache

from streamproc.errors import UploadsUnavailableError

_log = structlog.get_logger()
_OWN_PAUSES = 3
"""Longest wait of a single failing task, as a multiple of the longest pause between probes."""
_STILL_GOOD_S = 1.0
_MAX_KNOWN = 4096


class StoreOutages:
    """Queue of the tasks that wait for S3. Use from one event loop."""

    def __init__(
        self,
        probe: Callable[[str], object],
        *,
        pause_s: float = 0.5,
        max_pause_s: float = 5.0,
        look_s: float = 0.25,
    ) -> None:
        """`probe` requests a task's object; raises `UploadsUnavailableError` while S3 is down.

        It is called in a thread, one call at a time, and must have a time limit. The pause between
        two calls is `pause_s` and doubles each time, up to `max_pause_s`.
        """
        self._first_pause_s, self._max_pause_s, self._look_s = pause_s, max_pause_s, look_s
        self._probe = probe
        self._thread = ThreadPoolExecutor(1, "store-probe")
        self._is_probing = False
        self._next_probe_s = self._good_until_s = 0.0
        self._pause_s = pause_s
        self._n_failures: LRUCache[str, int] = LRUCache(_MAX_KNOWN)  # some continue elsewhere
        self.n_waiting = 0
        """Number of tasks that wait now."""

    def failed(self, task: str) -> None:
        """Record that a task failed because of S3: it waits before its next try."""
        self._n_failures[task] = self._n_failures.pop(task, 0) + 1
        self._good_until_s = 0.0

    def forget(self, task: str) -> None:
        """Record that a task continues, or is no longer this worker's."""
        self._n_failures.pop(task, None)

    async def until_there(self, task: str, key: str, gives_up: Callable[[], bool]) -> None:
        """Wait until a failed task may be retried, or `gives_up` returns True.

        `key` is an object that it needs. Returns at once for a task that has not failed.
        """
        n_failures = self._n_failures.get(task)
        if n_failures is None:
            return
        started_s = time.monotonic()
        own_pause_s = min(
            self._first_pause_s * 2 ** min(n_failures - 1, 10), _OWN_PAUSES * self._max_pause_s
        )
        _log.warning("a task waits for the object store", task=task, tries=n_failures)
        self.n_waiting += 1
        try:
            while not gives_up():
                if time.monotonic() - started_s >= own_pause_s and await self._answers(key):
                    waited_s = round(time.monotonic() - started_s, 1)
                    _log.info("object store available: task continues", task=task, s=waited_s)
                    return
                await asyncio.sleep(self._look_s)
        finally:
            self.n_waiting -= 1

    def close(self) -> None:
        """Wait for a running probe."""
        self._thread.shutdown(wait=True)

    async def _answers(self, key: str) -> bool:
        """Return whether S3 is known to answer; probe it if the pause is over."""
        if time.monotonic() < self._good_until_s:
            return True
        if self._is_probing or time.monotonic() < self._next_probe_s:
            return False
        self._is_probing = True
        try:
            there = await asyncio.get_running_loop().run_in_executor(self._thread, self._is_up, key)
        finally:
            self._is_probing = False
        now_s = time.monotonic()
        if there:
            self._pause_s = self._first_pause_s
            self._good_until_s = now_s + _STILL_GOOD_S
        else:
            self._next_probe_s = now_s + self._pause_s
            self._pause_s = min(2 * self._pause_s, self._max_pause_s)
        return there

    def _is_up(self, key: str) -> bool:
        with suppress(UploadsUnavailableError):
            self._probe(key)
            return True
        return False
