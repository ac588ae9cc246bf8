"""Ends what waits for a source, from any thread and at any moment of it.

Whoever is about to block says how it can be woken (`wakes`); `set` wakes all of them, and whoever
comes later is woken at once. The cause says what the owner raises instead of what it met.
"""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from streamproc.source.errors import SourceClosedError, SourceError


class Interrupt:
    """Set once; the first cause stays."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._cause: SourceError | None = None
        self._given: SourceError | None = None
        self._wakes: dict[object, Callable[[], object]] = {}
        self._event = threading.Event()

    @property
    def is_set(self) -> bool:
        return self._cause is not None

    @property
    def cause(self) -> SourceError | None:
        """What to raise, None while it is not set."""
        return self._cause

    @property
    def given(self) -> SourceError | None:
        """The cause that was given from outside; None also when the source was simply closed."""
        return self._given

    def set(self, cause: SourceError | None = None) -> None:
        """Wake everybody who waits; without a cause the source was closed by its owner."""
        with self._lock:
            if self._cause is not None:
                return
            self._given = cause
            self._cause = cause or SourceClosedError("the source was closed")
            self._event.set()
            wakes = list(self._wakes.values())
        for wake in wakes:
            wake()

    def raise_if_set(self) -> None:
        if self._cause is not None:
            raise self._cause

    def wait(self, timeout_s: float) -> None:
        """Wait, unless it is set before."""
        self._event.wait(max(0.0, timeout_s))

    @contextmanager
    def wakes(self, wake: Callable[[], object]) -> Iterator[None]:
        """Have `wake` called when the interrupt is set meanwhile, or at once if it is already.

        It must not wait for anybody who is to be woken himself.
        """
        key = object()
        with self._lock:
            self._wakes[key] = wake
            is_late = self._cause is not None
        try:
            if is_late:
                wake()
            yield
        finally:
            with self._lock:
                del self._wakes[key]
