"""Error responses as raw HTTP bytes, for requests that never reach the application."""

from collections.abc import Iterable
from http import HTTPStatus

import msgspec

from api.errors import PROBLEM_JSON, ProblemError


def refusal(problem: ProblemError, headers: Iterable[tuple[bytes, bytes]] = ()) -> bytes:
    """Return the whole response; the connection has to be closed after it."""
    body = msgspec.json.encode(problem.body())
    fields = {
        "content-type": PROBLEM_JSON,
        "content-length": str(len(body)),
        "connection": "close",
        **{name.lower(): value for name, value in problem.headers.items()},
    }
    lines = [
        f"HTTP/1.1 {problem.status} {HTTPStatus(problem.status).phrase}".encode(),
        *(b"%b: %b" % header for header in headers),
        *(f"{name}: {value}".encode() for name, value in fields.items()),
    ]
    return b"\r\n".join([*lines, b"", body])
