"""Validation of request heads against request smuggling, beyond the parser: pure functions.

Request smuggling needs two servers that parse one head differently. So an ambiguous head (two
hosts, a coding other than `chunked`) is refused, never interpreted.
"""

from collections.abc import Sequence

from api.errors import BadRequestError, ProblemError
from api.server.limits import Limits

Headers = Sequence[tuple[bytes, bytes]]


def head_too_large(limits: Limits) -> ProblemError:
    """Return the 431 problem, which names the limits."""
    return ProblemError(
        f"The request's head is larger than {limits.head_bytes} bytes "
        f"or has more than {limits.head_fields} fields.",
        status=431,
        code="head_too_large",
        title="Request Header Fields Too Large",
        extra={"limit_bytes": limits.head_bytes},
    )


def url_too_long(limits: Limits) -> ProblemError:
    return ProblemError(
        f"The URL is longer than {limits.url_bytes} bytes.",
        status=414,
        code="url_too_long",
        title="URI Too Long",
        extra={"limit_bytes": limits.url_bytes},
    )


def check_head(version: str, headers: Headers) -> int | None:
    """Return the declared length of the body: 0 without a body, None for a chunked one.

    Raises BadRequestError on an ambiguous head.
    """
    n_hosts = sum(name == b"host" for name, _ in headers)
    if n_hosts > 1 or (n_hosts == 0 and version == "1.1"):
        raise BadRequestError("A request needs exactly one Host header.", code="bad_head")
    codings = [value.strip().lower() for name, value in headers if name == b"transfer-encoding"]
    lengths = [value for name, value in headers if name == b"content-length"]
    if not codings:
        return int(lengths[0]) if lengths else 0
    if codings != [b"chunked"] or lengths or version != "1.1":
        raise BadRequestError(
            "Transfer-Encoding must be chunked alone, in HTTP/1.1, without Content-Length.",
            code="bad_head",
        )
    return None
