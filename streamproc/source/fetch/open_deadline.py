"""Deadline for opening a source, for all causes of delay.

A source without random access has to arrive completely if its index is at the end. So the time
grows with the bytes that have arrived: one second per MiB. A slow origin gains very little by this.
"""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from streamproc.source.errors import SourceTimeoutError
from streamproc.source.fetch.interrupt import Interrupt
from streamproc.source.fetch.transfer_rate import Pace

_BYTES_PER_EXTRA_S: Final = 1 << 20


@contextmanager
def open_deadline(timeout_s: float, pace: Pace, interrupt: Interrupt) -> Iterator[None]:
    """Set the interrupt, with a `SourceTimeoutError`, when the block takes longer than allowed."""
    over = threading.Event()
    started_s = time.monotonic()

    def watch() -> None:
        while True:
            allowed_s = timeout_s + pace.n_bytes / _BYTES_PER_EXTRA_S
            left_s = started_s + allowed_s - time.monotonic()
            if left_s <= 0:
                message = f"the source was not open within {timeout_s:g} s"
                interrupt.set(SourceTimeoutError(message))
                return
            if over.wait(left_s):
                return

    watching = threading.Thread(target=watch, name="source-deadline", daemon=True)
    watching.start()
    try:
        yield
    finally:
        over.set()
        watching.join()
