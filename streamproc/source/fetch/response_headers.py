"""What an origin's headers say, bounded: whatever stands in them, a number or a `ValueError`.

Only ASCII digits are numbers here. Python's `int` also takes signs, blanks, underscores and other
scripts' digits, and refuses more than 4,300 of them by an exception of its own.
"""

import base64
import re
from typing import Final, NamedTuple
from urllib.parse import SplitResult, quote, unquote, urljoin, urlsplit

BEYOND_ALL: Final = 10**18
"""Stands for every number that is longer than this one."""
_LENGTH: Final = re.compile(r"\s*([0-9]+)\s*")
_RANGE: Final = re.compile(r"\s*bytes\s+([0-9]+)-([0-9]+)/([0-9]+|\*)\s*", re.IGNORECASE)
_PRINTABLE: Final = "".join(chr(code) for code in range(0x21, 0x7F))


class ContentRange(NamedTuple):
    """Bytes `start` to `last` of `size`, all three within each other; None: it does not say."""

    start: int
    last: int
    size: int | None


def content_length(text: str | None) -> int | None:
    """Return the length, None where there is no header. Raises `ValueError`."""
    if text is None:
        return None
    match = _LENGTH.fullmatch(text)
    if match is None:
        raise ValueError("not a length")
    return _bounded(match[1])


def content_range(text: str | None) -> ContentRange:
    """Return the range. Raises `ValueError` when it is none, or impossible."""
    match = _RANGE.fullmatch(text or "")
    if match is None:
        raise ValueError("not a range")
    start, last = _bounded(match[1]), _bounded(match[2])
    size = None if match[3] == "*" else _bounded(match[3])
    found = ContentRange(start, last, size)
    if not start <= last < (BEYOND_ALL if size is None else size):
        raise ValueError("not a possible range")
    return found


def retry_after_s(text: str | None, default_s: float) -> float:
    """Return how long a `Retry-After` asks to wait; a date, or nonsense, is the default."""
    match = _LENGTH.fullmatch(text or "")
    return default_s if match is None else float(_bounded(match[1]))


def basic_authorization(parts: SplitResult) -> str | None:
    """Return the `Authorization` for a URL's user name and password, None without."""
    if parts.username is None:
        return None
    pair = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
    return "Basic " + base64.b64encode(pair.encode()).decode()


def redirected(url: str, location: str) -> str:
    """Return the URL that a `Location` of the answer to `url` names. Raises `ValueError`.

    `http.client` gives headers as Latin-1; the bytes behind them are taken as they are.
    """
    return urljoin(url, quote(location.strip().encode("latin-1"), safe=_PRINTABLE))


def split_url(url: str) -> SplitResult:
    """Split a URL (or IRI) with a host, its path and query as they may be sent.

    What is not printable ASCII is percent-encoded as UTF-8; everything else stays as it is, for
    it may be signed. Raises `ValueError`.
    """
    parts = urlsplit(url)
    if not parts.hostname or parts.port == 0:
        raise ValueError("no host")
    path = quote(parts.path or "/", safe=_PRINTABLE)
    return parts._replace(path=path, query=quote(parts.query, safe=_PRINTABLE), fragment="")


def request_target(parts: SplitResult) -> str:
    """Return what stands in the request line, from what `split_url` gave."""
    return f"{parts.path}?{parts.query}" if parts.query else parts.path


def _bounded(digits: str) -> int:
    return int(digits) if len(digits) <= len(str(BEYOND_ALL)) - 1 else BEYOND_ALL
