"""Strict parsers of HTTP response headers: every text gives a bounded value or a `ValueError`.

Only ASCII digits are numbers here. Python's `int` also accepts signs, blanks, underscores and
digits of other scripts, and raises its own exception for more than 4,300 of them.
"""

import base64
import re
from typing import Final, NamedTuple
from urllib.parse import SplitResult, quote, unquote, urljoin, urlsplit

BEYOND_ALL: Final = 10**18
"""Replaces every number of 19 digits or more."""
_LENGTH: Final = re.compile(r"\s*([0-9]+)\s*")
_RANGE: Final = re.compile(r"\s*bytes\s+([0-9]+)-([0-9]+)/([0-9]+|\*)\s*", re.IGNORECASE)
_PORTS: Final = {"http": 80, "https": 443}
_PRINTABLE: Final = "".join(chr(code) for code in range(0x21, 0x7F))


class ContentRange(NamedTuple):
    """Bytes `start` to `last` of `size`; start <= last < size. `size` None: not given."""

    start: int
    last: int
    size: int | None


def content_length(text: str | None) -> int | None:
    """Return the length, None without the header. Raises `ValueError`."""
    if text is None:
        return None
    match = _LENGTH.fullmatch(text)
    if match is None:
        raise ValueError("not a length")
    return _bounded(match[1])


def content_range(text: str | None) -> ContentRange:
    """Return the range. Raises `ValueError` when it is malformed or impossible."""
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
    """Return the seconds of a `Retry-After`; `default_s` for a date or an invalid text."""
    match = _LENGTH.fullmatch(text or "")
    return default_s if match is None else float(_bounded(match[1]))


def basic_authorization(parts: SplitResult) -> str | None:
    """Return the `Authorization` header for a URL's user name and password, None without."""
    if parts.username is None:
        return None
    pair = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
    return "Basic " + base64.b64encode(pair.encode()).decode()


def redirected(url: str, location: str) -> str:
    """Return the absolute URL of a `Location` in the answer to `url`. Raises `ValueError`.

    `http.client` decodes headers as Latin-1; the original bytes are percent-encoded unchanged.
    """
    return urljoin(url, quote(location.strip().encode("latin-1"), safe=_PRINTABLE))


def split_url(url: str) -> SplitResult:
    """Split a URL (or IRI) that has a host; encode its path and query for a request.

    Characters that are not printable ASCII are percent-encoded as UTF-8. The rest is unchanged: it
    may be signed. Raises `ValueError`.
    """
    parts = urlsplit(url)
    if not parts.hostname or parts.port == 0:
        raise ValueError("no host")
    path = quote(parts.path or "/", safe=_PRINTABLE)
    return parts._replace(path=path, query=quote(parts.query, safe=_PRINTABLE), fragment="")


def origin(parts: SplitResult) -> tuple[str, str, int | None]:
    """Return what two URLs of one origin (RFC 6454) have in common: scheme, host, port."""
    scheme = parts.scheme.lower()
    return scheme, parts.hostname or "", parts.port or _PORTS.get(scheme)


def request_target(parts: SplitResult) -> str:
    """Return the target of the request line, from the result of `split_url`."""
    return f"{parts.path}?{parts.query}" if parts.query else parts.path


def _bounded(digits: str) -> int:
    return int(digits) if len(digits) <= len(str(BEYOND_ALL)) - 1 else BEYOND_ALL
