"""Byte reader for Framewire's own bucket: retry with exponential backoff during an outage.

A failed read of a client's origin counts as a fault of the video. A failed read of our own store (a
refusal, a reset, half an answer, silence) is an outage and says nothing about the video. Reads are
retried for some seconds; then a `StoreAwayError` is raised, for which a task waits. A missing
object is no outage: `ObjectMissingError` is raised at once.
"""

import time
from collections.abc import Callable
from typing import BinaryIO, Final, TypeVar

from streamproc.source.errors import (
    ObjectMissingError,
    SourceRedirectError,
    SourceStatusError,
    SourceTimeoutError,
    SourceTruncatedError,
    SourceUnreachableError,
    StoreAwayError,
)
from streamproc.source.fetch.byte_reader import ByteReader
from streamproc.source.fetch.interrupt import Interrupt

PATIENCE_S: Final = 5.0
"""Time during which a read is retried, from the start of its first attempt."""
_FIRST_PAUSE_S: Final = 0.1
_MAX_PAUSE_S: Final = 1.0
_PASSING: Final = (
    SourceRedirectError,
    SourceStatusError,
    SourceTimeoutError,
    SourceTruncatedError,
    SourceUnreachableError,
)

T = TypeVar("T")


class StoreReader:
    """A `ByteReader` that retries the reads of another reader of the same object."""

    def __init__(
        self,
        opens: Callable[[], ByteReader],
        interrupt: Interrupt,
        *,
        patience_s: float = PATIENCE_S,
    ) -> None:
        """Open the object with `opens`, which may be called several times.

        Raises `StoreAwayError`, and `ObjectMissingError` when there is no such object.
        """
        self._interrupt, self._patience_s = interrupt, patience_s
        self.waited_s = 0.0
        """Total time spent in calls to the store, including the pauses between retries."""
        self._reader = self._tried(opens, again=True)

    @property
    def size_bytes(self) -> int | None:
        return self._reader.size_bytes

    @property
    def seekable(self) -> bool:
        return self._reader.seekable

    @property
    def etag(self) -> str | None:
        return self._reader.etag

    @property
    def validators_differ(self) -> bool:
        return self._reader.validators_differ

    def fileno(self) -> int | None:
        return self._reader.fileno()

    def read_at(self, position: int, length: int) -> bytes:
        return self._tried(lambda: self._reader.read_at(position, length), again=self.seekable)

    def find_size(self) -> int:
        return self._tried(self._reader.find_size, again=False)

    def check_unchanged(self) -> None:
        self._tried(self._reader.check_unchanged, again=False)

    def open_spool(self) -> BinaryIO | None:
        return self._tried(self._reader.open_spool, again=False)

    def close(self) -> None:
        self._reader.close()

    def _tried(self, do: Callable[[], T], *, again: bool) -> T:
        """Call `do` until it succeeds or `patience_s` is over; only once if `again` is false."""
        started_s, pause_s = time.monotonic(), _FIRST_PAUSE_S
        try:
            while True:
                try:
                    return do()
                except ObjectMissingError:
                    raise
                except _PASSING as exc:
                    self._interrupt.raise_if_set()
                    if not again or time.monotonic() - started_s >= self._patience_s:
                        raise StoreAwayError(f"the object store is unavailable: {exc}") from exc
                self._interrupt.wait(pause_s)
                pause_s = min(2 * pause_s, _MAX_PAUSE_S)
        finally:
            self.waited_s += time.monotonic() - started_s
