"""What the sync and the async client share: timeouts, headers, errors of httpx as our own."""

import ssl
from functools import cache
from typing import Any

import httpx

from console.client.calls import Call
from console.errors import ConsoleError, UnreachableError

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
