"""Cancellation token: ends all waiting for a source, from any thread and at any moment.

Code that is about to block registers a wake-up function (`wakes`). `set` calls all of them; one
that is registered later is called at once. The owner raises the cause instead of the error that the
wake-up led to.
"""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from streamproc.source.errors import SourceClosedError, SourceError


class Interrupt:
    """A cancellation token that is set once; the first cause is kept."""

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
        """The error to raise, None while the interrupt is not set."""
        return self._cause

    @property
    def given(self) -> SourceError | None:
        """The cause that was passed to `set`; None also when the source was simply closed."""
        return self._given

    def set(self, cause: SourceError | None = None) -> None:
        """Wake all waiting threads; `cause` None means that the owner closed the source.

        A second call does nothing.
        """
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
        """Wait for `timeout_s`, or until the interrupt is set."""
        self._event.wait(max(0.0, timeout_s))

    @contextmanager
    def wakes(self, wake: Callable[[], object]) -> Iterator[None]:
        """Call `wake` if the interrupt is set during the block, or at once if it is set already.

        `wake` must not wait for a thread that is itself waiting to be woken.
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
