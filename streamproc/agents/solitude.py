"""Slices run side by side, but one that lost two workers runs alone.

When a worker dies, every slice in it looks guilty. Most deaths have nothing to do with a video, so
the first one changes nothing: who takes over would else do one task after another. After the second
one a slice runs alone: the innocent ones end theirs and are free of suspicion, the guilty one takes
down workers in which nothing else runs. Only such losses count against a task (`standing`).
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager


class Solitude:
    """Many may be inside together, or one alone. Who waits to be alone goes before newcomers."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._n_together = 0
        self._is_alone = False
        self._n_waiting = 0

    @contextmanager
    def entered(self, *, alone: bool) -> Iterator[None]:
        """Be inside, alone or together with others; waits until that is possible."""
        if alone:
            self._enter_alone()
        else:
            self._enter_together()
        try:
            yield
        finally:
            with self._changed:
                if alone:
                    self._is_alone = False
                else:
                    self._n_together -= 1
                self._changed.notify_all()

    def _enter_alone(self) -> None:
        with self._changed:
            self._n_waiting += 1
            try:
                self._changed.wait_for(lambda: not self._is_alone and self._n_together == 0)
            finally:
                self._n_waiting -= 1
            self._is_alone = True

    def _enter_together(self) -> None:
        with self._changed:
            self._changed.wait_for(lambda: not self._is_alone and self._n_waiting == 0)
            self._n_together += 1
