"""A shared/exclusive (readers-writer) lock with writer preference, for the slices of a worker.

Slices run concurrently (shared). When a worker crashes, every slice in it is a suspect. Most
crashes have nothing to do with a video, so the first one changes nothing: otherwise the next worker
would process the tasks one after another. A slice that lost two workers runs alone (exclusive), so
that only it can cause a third loss. Only such losses count against a task (`task_state`).
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager


class SharedLock:
    """Held by many (shared) or by one (exclusive).

    A waiting exclusive request goes before all later shared requests.
    """

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._n_shared = 0
        self._is_exclusive = False
        self._n_waiting = 0

    @property
    def is_awaited(self) -> bool:
        """Whether somebody waits to hold it exclusively."""
        return self._n_waiting > 0

    @contextmanager
    def held(self, *, exclusive: bool) -> Iterator[None]:
        """Hold the lock, exclusive or shared; waits until that is possible."""
        if exclusive:
            self._acquire_exclusive()
        else:
            self._acquire_shared()
        try:
            yield
        finally:
            with self._changed:
                if exclusive:
                    self._is_exclusive = False
                else:
                    self._n_shared -= 1
                self._changed.notify_all()

    def _acquire_exclusive(self) -> None:
        with self._changed:
            self._n_waiting += 1
            try:
                self._changed.wait_for(lambda: not self._is_exclusive and self._n_shared == 0)
            finally:
                self._n_waiting -= 1
            self._is_exclusive = True

    def _acquire_shared(self) -> None:
        with self._changed:
            self._changed.wait_for(lambda: not self._is_exclusive and self._n_waiting == 0)
            self._n_shared += 1
