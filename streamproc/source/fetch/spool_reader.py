"""Spooling reader for an HTTP source without range support: copies it to a temporary file.

Decoding continues with the part that has arrived; a read beyond it waits. The file has no name, so
it is deleted however the process ends.
"""

import os
import tempfile
import threading
from typing import BinaryIO, Final

from streamproc.source.errors import (
    SourceClosedError,
    SourceError,
    SourceTooLargeError,
    SourceTruncatedError,
    SourceUnreachableError,
)
from streamproc.source.fetch.http_client import Answer, Fetcher
from streamproc.source.fetch.policy import FetchPolicy

_PIECE_BYTES: Final = 256 * 1024


class SpoolReader:
    """A `ByteReader` created from the first answer (200); its own thread copies the body."""

    def __init__(self, fetcher: Fetcher, answer: Answer, policy: FetchPolicy) -> None:
        self._fetcher = fetcher
        self._answer = answer
        self._max_bytes = policy.max_bytes
        self._min_free_bytes = policy.min_free_bytes
        self._share = policy.spool.fresh()
        self._promised = answer.length()
        self._etag, _ = answer.validators()
        self._check_size(self._promised or 0)
        self._file = tempfile.TemporaryFile(prefix="framewire-")  # noqa: SIM115 - see close()
        try:
            self._check_disk(self._promised or 0)
        except SourceError:
            self._file.close()
            raise
        self._grown = threading.Condition()
        self._n_bytes = 0
        self._done = False
        self._closed = False
        self._error: SourceError | None = None
        self._thread = threading.Thread(target=self._copy, name="source-spool", daemon=True)
        self._thread.start()

    @property
    def size_bytes(self) -> int | None:
        """`Content-Length`, or the received size once complete."""
        return self._n_bytes if self._done else self._promised

    @property
    def seekable(self) -> bool:
        return False

    @property
    def etag(self) -> str | None:
        return self._etag

    @property
    def validators_differ(self) -> bool:
        return False

    def fileno(self) -> int | None:
        return None

    def find_size(self) -> int:
        return self._promised if self._promised is not None else self._wait(None)

    def read_at(self, position: int, length: int) -> bytes:
        """Wait for at least one byte at `position`; no bytes when the source ends before it.

        Raises `SourceClosedError` or the error of the copy.
        """
        n_bytes = self._wait(position)
        if position >= n_bytes:
            return b""
        return os.pread(self._file.fileno(), min(length, n_bytes - position), position)

    def check_unchanged(self) -> None:
        """Raise `SourceTruncatedError` when the body was shorter than its Content-Length."""
        with self._grown:
            is_short = self._done and self._n_bytes < (self._promised or 0)
        if is_short and not self._closed:
            raise SourceTruncatedError(f"{self._answer.host} ended before the whole file was sent")

    def open_spool(self) -> BinaryIO:
        """Wait until the whole source has arrived; return it as a file with its own position.

        The caller closes it; it may outlive this reader. Raises a `SourceError` if not complete.
        """
        self._wait(None)
        self.check_unchanged()
        return open(f"/proc/self/fd/{self._file.fileno()}", "rb")  # noqa: PTH123

    def close(self) -> None:
        with self._grown:
            if self._closed:
                return
            self._closed = True
            self._grown.notify_all()
        self._fetcher.interrupt.set()
        self._thread.join()
        self._file.close()
        self._share.give_back()

    def _wait(self, position: int | None) -> int:
        """Wait until `position` (None: everything) has arrived; returns the number of bytes."""
        with self._grown:
            self._grown.wait_for(lambda: self._done or self._closed or self._has(position))
            if self._closed:
                raise SourceClosedError("the source was closed")
            if self._error is not None and not self._has(position):
                raise self._error
            return self._n_bytes

    def _has(self, position: int | None) -> bool:
        return position is not None and position < self._n_bytes

    def _copy(self) -> None:
        error: SourceError | None = None
        try:
            while piece := self._answer.read(_PIECE_BYTES):
                self._check_size(self._n_bytes + len(piece))
                self._check_disk(len(piece))
                self._take_share(len(piece))
                os.pwrite(self._file.fileno(), piece, self._n_bytes)
                with self._grown:
                    self._n_bytes += len(piece)
                    self._grown.notify_all()
        except SourceError as exc:
            error = exc
        except OSError as exc:
            error = SourceUnreachableError(f"the source cannot be spooled: {exc.strerror}")
        finally:
            self._answer.close()
        with self._grown:
            self._error = error
            self._done = True
            self._grown.notify_all()

    def _check_size(self, n_bytes: int) -> None:
        if n_bytes > self._max_bytes:
            raise SourceTooLargeError(f"the source is over the limit of {self._max_bytes} bytes")

    def _take_share(self, n_bytes: int) -> None:
        if not self._share.take(n_bytes):
            raise SourceTooLargeError(
                "the copies of this project's sources would be over the limit of "
                f"{self._share.max_bytes} bytes on this worker"
            )

    def _check_disk(self, n_bytes: int) -> None:
        """Raise `SourceTooLargeError` before the disk is full: it is shared with other tasks."""
        disk = os.fstatvfs(self._file.fileno())
        if disk.f_bavail * disk.f_frsize - n_bytes < self._min_free_bytes:
            raise SourceTooLargeError(
                "a copy of the source would leave less than "
                f"{self._min_free_bytes} bytes free on this worker's disk"
            )
