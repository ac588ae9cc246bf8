"""Shared parts of the sync and async client: timeouts, headers, translation of httpx errors."""

import ssl
from functools import cache
from typing import Any, TypeVar, cast

import httpx
import msgspec

from api.contract.problem import Problem
from console.client.calls import Call
from console.errors import ApiProblem, ConsoleError, UnreachableError

# The api ends a query after 25 s. An upload may be slow, an answer may not.
TIMEOUT = httpx.Timeout(40.0, connect=5.0, write=300.0)
# After this silence the client reconnects: it detects dead connections and loses no bytes.
STREAM_TIMEOUT = httpx.Timeout(45.0, connect=5.0)


@cache
def tls_context() -> ssl.SSLContext:
    """Return the process-wide TLS context: creating one takes longer than most requests."""
    return httpx.create_ssl_context(trust_env=False)


def auth_headers(key: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {key}"} if key else {}


def call_headers(call: Call[Any]) -> dict[str, str]:
    return {"Accept": "application/json, application/problem+json", **dict(call.headers)}


def translate(error: httpx.HTTPError | httpx.InvalidURL, url: str) -> ConsoleError:
    """Translate httpx's error to our own; the message has the URL, never a key."""
    if isinstance(error, httpx.InvalidURL | httpx.UnsupportedProtocol):
        return UnreachableError(f"not a URL of an api: {url}")
    if isinstance(error, httpx.TimeoutException):
        return UnreachableError(f"the api at {url} did not answer in time")
    return UnreachableError(f"the api at {url} cannot be reached: {_reason(error)}")


def _reason(error: BaseException) -> str:
    """Return why a connection failed, as the operating system says it, or as httpx does."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, OSError) and cause.strerror:
            return cause.strerror.lower()
        cause = cause.__cause__ or cause.__context__
    return str(error) or type(error).__name__


T = TypeVar("T")


def read_answer(call: Call[T], status: int, body: bytes) -> T:
    """Decode the call's answer.

    Raises `ApiProblem` for a status >= 300, `ConsoleError` for a body of another type.
    """
    if status >= 300:
        raise read_problem(status, body)
    if call.answer is type(None):
        return None
    if call.answer is bytes:
        return cast("T", body)
    try:
        return msgspec.json.decode(body, type=call.answer)
    except msgspec.DecodeError as exc:
        raise ConsoleError(
            f"{call.method} {call.path} answered what this client cannot read"
        ) from exc


def read_problem(status: int, body: bytes) -> ApiProblem:
    """Decode problem+json; another body (a proxy's page) gives an `ApiProblem` of its status."""
    try:
        problem = msgspec.json.decode(body, type=Problem)
    except msgspec.DecodeError:
        return ApiProblem(status, "http_error", f"the server answered {status}")
    errors = problem.errors if isinstance(problem.errors, list) else []
    return ApiProblem(problem.status, problem.code, problem.detail, errors)
