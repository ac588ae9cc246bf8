"""Random-access byte reader of a source: the protocol, local files and the fingerprint."""

import hashlib
import os
from typing import BinaryIO, Final, NamedTuple, Protocol

from streamproc.source.errors import SourceChangedError

FINGERPRINT_BYTES: Final = 64 * 1024


class ByteReader(Protocol):
    """Random access to the bytes of one source; `read_at` is called by one thread at a time."""

    @property
    def size_bytes(self) -> int | None:
        """Size of the source, None while unknown."""

    @property
    def seekable(self) -> bool:
        """Whether any position can be read without reading the bytes before it."""

    @property
    def etag(self) -> str | None:
        """A strong validator of the bytes, if the origin sends one."""

    @property
    def validators_differ(self) -> bool:
        """Whether responses of one origin had different validators for the same bytes."""

    def fileno(self) -> int | None:
        """Return the descriptor of a plain local file, to pass to a child; None otherwise."""

    def read_at(self, position: int, length: int) -> bytes:
        """Read up to `length` bytes; at least one, unless `position` is the end."""

    def find_size(self) -> int:
        """Return the size; reads to the end when it cannot be known otherwise."""

    def check_unchanged(self) -> None:
        """Raise `SourceChangedError` when the source has changed since it was opened."""

    def open_spool(self) -> BinaryIO | None:
        """Wait for all of a source that cannot be read again, and open it as a file (to stage it).

        None when the source can be read again at its origin.
        """

    def close(self) -> None:
        """Abort a running read, from any thread, and free all resources."""


class Fingerprint(NamedTuple):
    """Hex sha256: `whole` of size, first and last 64 KiB and ETag, `content` without the ETag."""

    whole: str
    content: str


def fingerprint(reader: ByteReader) -> Fingerprint:
    """Return the fingerprint of a source.

    For a source without random access the last 64 KiB are left out: they have not arrived yet
    when the first frame has to be processed.
    """
    size = reader.size_bytes
    ends = _read_exactly(reader, 0, FINGERPRINT_BYTES)
    if reader.seekable and size is not None and size > FINGERPRINT_BYTES:
        start = max(FINGERPRINT_BYTES, size - FINGERPRINT_BYTES)
        ends += _read_exactly(reader, start, size - start)
    known_size = -1 if size is None else size
    return Fingerprint(
        hashlib.sha256(f"{known_size}\n{reader.etag or ''}\n".encode() + ends).hexdigest(),
        hashlib.sha256(f"{known_size}\n".encode() + ends).hexdigest(),
    )


def _read_exactly(reader: ByteReader, position: int, length: int) -> bytes:
    parts = []
    while length > 0 and (part := reader.read_at(position, length)):
        parts.append(part)
        position += len(part)
        length -= len(part)
    return b"".join(parts)


class LocalReader:
    """A plain file, opened once; a new size or modification time means a changed source."""

    def __init__(self, fd: int) -> None:
        self._fd: int | None = fd
        self._stat = os.fstat(fd)

    @property
    def size_bytes(self) -> int | None:
        return self._stat.st_size

    @property
    def seekable(self) -> bool:
        return True

    @property
    def etag(self) -> str | None:
        return None

    @property
    def validators_differ(self) -> bool:
        return False

    def fileno(self) -> int | None:
        return self._fd

    def read_at(self, position: int, length: int) -> bytes:
        return b"" if self._fd is None else os.pread(self._fd, length, position)

    def find_size(self) -> int:
        return self._stat.st_size

    def check_unchanged(self) -> None:
        if self._fd is None:
            return
        now = os.fstat(self._fd)
        if (now.st_size, now.st_mtime_ns) != (self._stat.st_size, self._stat.st_mtime_ns):
            raise SourceChangedError("the file was changed while it was being read")

    def open_spool(self) -> None:
        """Return None: the file itself can be read again."""

    def close(self) -> None:
        fd, self._fd = self._fd, None
        if fd is not None:
            os.close(fd)
