"""Bytes of a source at a position, wherever they come from: what `fetch` opens."""

import hashlib
import os
from typing import BinaryIO, Final, NamedTuple, Protocol

from streamproc.source.errors import SourceChangedError

FINGERPRINT_BYTES: Final = 64 * 1024


class ByteReader(Protocol):
    """Random access to the bytes of one source; `read_at` is called from one thread at a time."""

    @property
    def size_bytes(self) -> int | None:
        """None while unknown."""

    @property
    def seekable(self) -> bool:
        """Any position can be read without reading what lies before it."""

    @property
    def etag(self) -> str | None:
        """A strong validator of the bytes, if the origin gives one."""

    @property
    def validators_differ(self) -> bool:
        """Whether answers of one origin had different validators for the same bytes."""

    def fileno(self) -> int | None:
        """Descriptor of a plain local file that a child may be given; None otherwise."""

    def read_at(self, position: int, length: int) -> bytes:
        """Read up to `length` bytes, at least one unless `position` is the end."""

    def find_size(self) -> int:
        """Return the size, reading to the end when there is no other way to know it."""

    def check_unchanged(self) -> None:
        """Raise `SourceChangedError` when the source is not what it was when opened."""

    def open_spool(self) -> BinaryIO | None:
        """Wait for the whole of a source that cannot be read again, and open it (to stage it).

        None when the source can be read again from where it is.
        """

    def close(self) -> None:
        """Abort a running read from any thread, and let everything go."""


class Fingerprint(NamedTuple):
    """Hex sha256: `whole` of size, first and last 64 KiB and strong ETag, `content` without it."""

    whole: str
    content: str


def fingerprint(reader: ByteReader) -> Fingerprint:
    """Identify a source.

    Of a source that cannot be read at random the last 64 KiB are left out: they are not there
    yet when the first frame has to be processed.
    """
    size = reader.size_bytes
    ends = _read_exactly(reader, 0, FINGERPRINT_BYTES)
    if reader.seekable and size is not None and size > FINGERPRINT_BYTES:
        start = max(FINGERPRINT_BYTES, size - FINGERPRINT_BYTES)
        ends += _read_exactly(reader, start, size - start)
    told = -1 if size is None else size
    return Fingerprint(
        hashlib.sha256(f"{told}\n{reader.etag or ''}\n".encode() + ends).hexdigest(),
        hashlib.sha256(f"{told}\n".encode() + ends).hexdigest(),
    )


def _read_exactly(reader: ByteReader, position: int, length: int) -> bytes:
    parts = []
    while length > 0 and (part := reader.read_at(position, length)):
        parts.append(part)
        position += len(part)
        length -= len(part)
    return b"".join(parts)


class LocalReader:
    """A plain file, opened once; a change of size or time of writing is a changed source."""

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
        """Nothing is spooled: the file itself can be read again."""

    def close(self) -> None:
        fd, self._fd = self._fd, None
        if fd is not None:
            os.close(fd)
