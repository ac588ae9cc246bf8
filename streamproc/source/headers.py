"""What an origin's headers say, bounded: whatever stands in them, a number or a `ValueError`.

Only ASCII digits are numbers here. Python's `int` also takes signs, blanks, underscores and other
scripts' digits, and refuses more than 4,300 of them by an exception of its own.
"""

import re
from typing import Final, NamedTuple
from urllib.parse import SplitResult, quote, urljoin, urlsplit

BEYOND_ALL: Final = 10**18
"""Stands for every number that is longer than this one."""
_LENGTH: Final = re.compile(r"\s*([0-9]+)\s*")
_RANGE: Final = re.compile(r"\s*bytes\s+([0-9]+)-([0-9]+)/([0-9]+)\s*", re.IGNORECASE)
_PRINTABLE: Final = "".join(chr(code) for code in range(0x21, 0x7F))


class ContentRange(NamedTuple):
    """Bytes `start` to `last` of `size`, all three within each other."""

    start: int
    last: int
    size: int


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
    found = ContentRange(*(_bounded(digits) for digits in match.groups()))
    if not found.start <= found.last < found.size:
        raise ValueError("not a possible range")
    return found


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
