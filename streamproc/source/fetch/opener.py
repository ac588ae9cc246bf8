"""Open a byte reader for a URL: allow list of schemes, folders and addresses.

file        plain files strictly below an allowed folder, links resolved
http(s)     public addresses only, at every redirect; range requests if the server
            honours them, else a copy to a temporary file while decoding continues
own store   as http(s), with retries (`own_store`)
"""

import os
import stat
from functools import partial
from pathlib import Path
from urllib.parse import unquote, urlsplit

from streamproc.source.errors import (
    SourceEmptyError,
    SourceForbiddenError,
    SourceStatusError,
    SourceTooLargeError,
    SourceUnreachableError,
)
from streamproc.source.fetch.byte_reader import ByteReader, LocalReader
from streamproc.source.fetch.http_client import Answer, Fetcher
from streamproc.source.fetch.interrupt import Interrupt
from streamproc.source.fetch.own_store import StoreReader
from streamproc.source.fetch.policy import FetchPolicy
from streamproc.source.fetch.range_reader import RangedReader
from streamproc.source.fetch.spool_reader import SpoolReader
from streamproc.source.fetch.transfer_rate import Pace

__all__ = ["FetchPolicy", "open_reader"]


def open_reader(
    url: str,
    policy: FetchPolicy,
    interrupt: Interrupt | None = None,
    pace: Pace | None = None,
) -> ByteReader:
    """Open `url` (http, https or file); raises a `SourceError` that never contains the URL.

    The interrupt ends the opening and every later read; `close` sets it. `pace` measures the
    transfer rate.
    """
    try:
        parts = urlsplit(url)
        scheme = parts.scheme.lower()
        host = parts.hostname
    except ValueError as exc:
        raise SourceForbiddenError("the source's URL is invalid") from exc
    if scheme == "file":
        if host not in {None, "", "localhost"}:
            raise SourceForbiddenError("a file URL may not name a host")
        return _open_file(unquote(parts.path), policy)
    if scheme in {"http", "https"}:
        pace = pace or Pace(policy.min_bytes_per_s, policy.stall_timeout_s)
        interrupt = interrupt or Interrupt()
        opens = partial(_open_http, url, policy, interrupt, pace)
        return StoreReader(opens, interrupt) if policy.own_store else opens()
    raise SourceForbiddenError("only http, https and allowed file URLs can be read")


def _open_http(url: str, policy: FetchPolicy, interrupt: Interrupt, pace: Pace) -> ByteReader:
    fetcher = Fetcher(url, policy, interrupt, pace)
    answer = fetcher.get({"Range": "bytes=0-"})
    try:
        return _reader_for(fetcher, answer, policy)
    except BaseException:
        answer.close()
        raise


def _reader_for(fetcher: Fetcher, answer: Answer, policy: FetchPolicy) -> ByteReader:
    if answer.status == 206 and answer.content_range().size is not None:
        return RangedReader(fetcher, answer, policy)
    if answer.status in {200, 206}:  # a range without a total size is read to its end
        return SpoolReader(fetcher, answer, policy)
    if answer.status == 416:
        raise SourceEmptyError("the source has no bytes")
    raise SourceStatusError(f"{answer.host} answered with status {answer.status}")


def _open_file(path: str, policy: FetchPolicy) -> LocalReader:
    """Open a plain file strictly below an allowed root, after resolving links."""
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
        reason = os.strerror(exc.errno) if exc.errno else "unknown reason"
        raise SourceUnreachableError(f"the file cannot be opened: {reason}") from exc
    try:
        # Checks the descriptor's own path: detects a folder that was replaced by a link meanwhile.
        _check_file(fd, resolved, refusal, policy)
    except BaseException:
        os.close(fd)
        raise
    return LocalReader(fd)


def _check_file(fd: int, path: Path, refusal: SourceForbiddenError, policy: FetchPolicy) -> None:
    status = os.fstat(fd)
    if Path(f"/proc/self/fd/{fd}").readlink() != path or not stat.S_ISREG(status.st_mode):
        raise refusal
    if status.st_size > policy.max_bytes:
        raise SourceTooLargeError(f"the file is over the limit of {policy.max_bytes} bytes")
