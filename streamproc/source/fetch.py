"""Open the bytes of a source behind a guard: which schemes, folders and addresses may be read."""

import os
import stat
from pathlib import Path
from urllib.parse import unquote, urlsplit

import msgspec

from streamproc.source.errors import (
    SourceForbiddenError,
    SourceTooLargeError,
    SourceUnreachableError,
)
from streamproc.source.reader import ByteReader, LocalReader


class FetchPolicy(msgspec.Struct, frozen=True):
    """What a worker may fetch, and how long it may take.

    `allowed_file_roots`: folders below which `file://` is allowed (none: no local files).
    `allowed_private_hosts`: `host` or `host:port` exempt from the public-address rule, for the
    own S3. Times in seconds; `stall_timeout_s` bounds the silence between two pieces of data.
    """

    allowed_file_roots: tuple[Path, ...] = ()
    allowed_private_hosts: frozenset[str] = frozenset()
    max_bytes: int = 8 << 30
    max_pixels: int = 36_000_000
    max_redirects: int = 5
    connect_timeout_s: float = 10.0
    stall_timeout_s: float = 20.0
    total_timeout_s: float = 6 * 3600.0
    decode_stall_timeout_s: float = 120.0
    cpu_limit_s: int = 6 * 3600


def open_reader(url: str, policy: FetchPolicy) -> ByteReader:
    """Open `url` (http, https or file); raises a `SourceError`, never one that holds the URL."""
    try:
        parts = urlsplit(url)
        scheme = parts.scheme.lower()
        host = parts.hostname
    except ValueError as exc:
        raise SourceForbiddenError("the source's URL cannot be read") from exc
    if scheme == "file":
        if host not in {None, "", "localhost"}:
            raise SourceForbiddenError("a file URL may not name a host")
        return _open_file(unquote(parts.path), policy)
    raise SourceForbiddenError("only http, https and allowed file URLs can be read")


def _open_file(path: str, policy: FetchPolicy) -> LocalReader:
    """Open a file strictly below an allowed root, links resolved, and only a plain file."""
    refusal = SourceForbiddenError("the file is not below a folder this server may read")
    if "\0" in path or not path.startswith("/"):
        raise refusal
    resolved = Path(os.path.realpath(path))
    roots = (Path(os.path.realpath(root)) for root in policy.allowed_file_roots)
    if not any(resolved != root and resolved.is_relative_to(root) for root in roots):
        raise refusal
    try:
        fd = os.open(resolved, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError as exc:
        raise SourceUnreachableError("the file cannot be opened") from exc
    try:
        # The descriptor's own path: a folder swapped for a link meanwhile is seen here.
        opened = Path(os.readlink(f"/proc/self/fd/{fd}"))
        status = os.fstat(fd)
        if opened != resolved or not stat.S_ISREG(status.st_mode):
            raise refusal
        if status.st_size > policy.max_bytes:
            raise SourceTooLargeError(f"the file is over the limit of {policy.max_bytes} bytes")
    except BaseException:
        os.close(fd)
        raise
    return LocalReader(fd)
