"""Notice of a server that takes long to answer, while the caller waits for it."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

SLOW_S = 5.0


@contextmanager
def noticing(on_slow: Callable[[], None] | None, after_s: float) -> Iterator[None]:
    """Call `on_slow` once, in another thread, if the block runs for `after_s` or longer."""
    if on_slow is None:
        yield
        return
    timer = threading.Timer(after_s, on_slow)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
