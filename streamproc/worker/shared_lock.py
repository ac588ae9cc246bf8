"""A shared/exclusive (readers-writer) lock with writer preference, for the slices of a worker.

Slices run concurrently (shared). When a worker dies, every slice in it is a suspect, and most
deaths have nothing to do with a video, so the first one changes nothing: otherwise whoever takes
over would do one task after another. A slice that lost two workers runs alone (exclusive), so a
third loss can only be its own. Only such losses count against a task (`task_state`).
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager


class SharedLock:
    """Held by many together (shared) or by one alone (exclusive).

    Who waits for the exclusive lock goes before those who ask for the shared one later.
    """

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._n_shared = 0
        self._is_exclusive = False
        self._n_waiting = 0

    @contextmanager
    def held(self, *, exclusive: bool) -> Iterator[None]:
        """Hold the lock, exclusively or together with others; waits until that is possible."""
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
