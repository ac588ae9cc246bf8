"""What the sync and the async client share: timeouts, headers, errors of httpx as our own."""

import ssl
from functools import cache
from typing import Any, TypeVar, cast

import httpx
import msgspec

from api.contract.resources import Problem
from console.client.calls import Call
from console.errors import ApiProblem, ConsoleError, UnreachableError

TIMEOUT = httpx.Timeout(60.0, connect=5.0, write=300.0)
# A silent log is asked for again after so long: a dead connection is noticed, nothing is lost.
STREAM_TIMEOUT = httpx.Timeout(45.0, connect=5.0)


@cache
def tls_context() -> ssl.SSLContext:
    """Return the one of the process: it takes longer to make than most answers."""
    return httpx.create_ssl_context(trust_env=False)


def auth_headers(key: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {key}"} if key else {}


def call_headers(call: Call[Any]) -> dict[str, str]:
    return {"Accept": "application/json, application/problem+json", **dict(call.headers)}


def translate(error: httpx.HTTPError | httpx.InvalidURL, url: str) -> ConsoleError:
    """Return our error for httpx's; only the host is named, never a key."""
    if isinstance(error, httpx.InvalidURL | httpx.UnsupportedProtocol):
        return UnreachableError(f"not a URL of an api: {url}")
    if isinstance(error, httpx.TimeoutException):
        return UnreachableError(f"the api at {url} did not answer in time")
    return UnreachableError(f"the api at {url} cannot be reached ({type(error).__name__})")


T = TypeVar("T")


def read_answer(call: Call[T], status: int, body: bytes) -> T:
    """Return the call's answer.

    Raises `ApiProblem` for a status of 300 and more, `ConsoleError` for a body that is no answer.
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
    """Return the problem; a body that is none (a proxy's page) becomes a problem of its status."""
    try:
        problem = msgspec.json.decode(body, type=Problem)
    except msgspec.DecodeError:
        return ApiProblem(status, "http_error", f"the server answered {status}")
    errors = problem.errors if isinstance(problem.errors, list) else []
    return ApiProblem(problem.status, problem.code, problem.detail, errors)
