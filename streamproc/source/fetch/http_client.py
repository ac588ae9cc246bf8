"""HTTP client with an SSRF guard: the addresses of every hop are checked, and times are bounded.

It connects to exactly the address that was checked, while TLS and the Host header use the name; the
standard library's client allows this. Proxies of the environment are not used. Failures become
`SourceError`s that name the host and nothing else of the URL.
"""

import http.client
import time
from typing import Final

from streamproc.source.errors import (
    ObjectMissingError,
    SourceError,
    SourceForbiddenError,
    SourceRedirectError,
    SourceStatusError,
    SourceTimeoutError,
    SourceUnreachableError,
)
from streamproc.source.fetch import connection
from streamproc.source.fetch.address_guard import checked_addresses
from streamproc.source.fetch.connection import Connection
from streamproc.source.fetch.interrupt import Interrupt
from streamproc.source.fetch.policy import FetchPolicy
from streamproc.source.fetch.response_headers import (
    ContentRange,
    basic_authorization,
    content_length,
    content_range,
    origin,
    redirected,
    request_target,
    retry_after_s,
    split_url,
)
from streamproc.source.fetch.transfer_rate import Pace

_REDIRECTS: Final = frozenset({301, 302, 303, 307, 308})
_BUSY: Final = frozenset({429, 503})
_MAX_BUSY: Final = 4
_WAIT_S: Final = 1.0
_MAX_WAIT_S: Final = 10.0
"""An origin that asks for a longer wait gets no retry: the task's own provider may try later."""
_USER_AGENT: Final = "framewire"
_NO_SUCH_KEY: Final = b"<Code>NoSuchKey</Code>"
_MAX_ERROR_BYTES: Final = 4096
_MAX_HEADER_BYTES: Final = 256 * 1024
_MAX_FRAMING_BYTES: Final = 128 * 1024
"""Maximum of chunk sizes and trailers between two pieces of a body."""


class Fetcher:
    """Sends the requests for one source within its total time; the interrupt ends them."""

    def __init__(self, url: str, policy: FetchPolicy, interrupt: Interrupt, pace: Pace) -> None:
        self._url = url
        self._policy = policy
        self._deadline_s = time.monotonic() + policy.total_timeout_s
        self.interrupt = interrupt
        self._pace = pace

    def get(self, headers: dict[str, str], authorization: str | None = None) -> "Answer":
        """Send a GET and follow redirects; the status of the answer is 200, 206, 412 or 416.

        Status 429 and 503 are retried up to 4 times, after `Retry-After` or 1 s. The target of a
        redirect is not cached: presigned targets expire. `authorization` goes to the URL's own
        origin alone. Raises a `SourceError`.
        """
        url, n_redirects, n_busy = self._url, 0, 0
        while n_redirects <= self._policy.max_redirects:
            login = {}
            if authorization is not None and _have_one_origin(url, self._url):
                login["Authorization"] = authorization
            answer = self._hop(url, headers | login)
            if answer.status in {200, 206, 412, 416}:
                return answer
            wait_s = retry_after_s(answer.header("retry-after"), _WAIT_S)
            if answer.status in _BUSY and n_busy < _MAX_BUSY and wait_s <= _MAX_WAIT_S:
                n_busy += 1
                answer.close()
                self.interrupt.wait(min(wait_s, self.remaining_s()))
                continue
            location = answer.header("location")
            status, host, missing = answer.status, answer.host, self._says_missing(answer)
            challenge = answer.header("www-authenticate")
            answer.close()
            if status not in _REDIRECTS or location is None:
                kind = ObjectMissingError if missing else SourceStatusError
                raise kind(
                    f"{host} answered with status {status}",
                    status,
                    () if challenge is None else (challenge,),
                )
            n_redirects += 1
            try:
                url = redirected(url, location)
            except ValueError as exc:
                raise SourceStatusError(f"{host} redirects to an invalid URL") from exc
        raise SourceRedirectError(f"more than {self._policy.max_redirects} redirects")

    def remaining_s(self) -> float:
        """Return the rest of the total time in s; raises `SourceTimeoutError` when it is over."""
        self.interrupt.raise_if_set()
        left_s = self._deadline_s - time.monotonic()
        if left_s <= 0:
            raise SourceTimeoutError(f"not fetched within {self._policy.total_timeout_s:g} s")
        return left_s

    def _says_missing(self, answer: "Answer") -> bool:
        """Whether the answer of Framewire's own store means that it has no such object.

        A missing bucket, and a proxy in front of the store, answer with the same status.
        """
        if not self._policy.own_store or answer.status != 404:
            return False
        return _NO_SUCH_KEY in answer.read(_MAX_ERROR_BYTES)

    def _hop(self, url: str, headers: dict[str, str]) -> "Answer":
        if not url.lower().startswith(("http:", "https:")):
            raise SourceForbiddenError("only http and https can be fetched")
        try:
            parts = split_url(url)
            host = parts.hostname or ""
            port = parts.port or (443 if parts.scheme == "https" else 80)
        except ValueError as exc:
            raise SourceForbiddenError("the source's URL is invalid") from exc
        policy = self._policy
        addresses = checked_addresses(
            host,
            port,
            policy,
            timeout_s=min(policy.connect_timeout_s, self.remaining_s()),
            interrupt=self.interrupt,
        )
        is_tls = parts.scheme == "https"
        connected = self._connect(host, port, addresses, is_tls=is_tls)
        answer = Answer(self, connected, host, url)
        default_port = 443 if is_tls else 80
        login = basic_authorization(parts)
        headers = headers if login is None else {**headers, "Authorization": login}
        answer.request(port, default_port, request_target(parts), headers)
        return answer

    def _connect(self, host: str, port: int, addresses: list[str], *, is_tls: bool) -> Connection:
        timeout_s = min(self._policy.connect_timeout_s, self.remaining_s())
        ca_file = self._policy.ca_file
        plain = connection.dial(
            host, addresses, port, timeout_s, self.interrupt, is_tls=is_tls, ca_file=ca_file
        )
        return Connection(plain, self._pace)

    def header_timeout_s(self) -> float:
        return min(self._policy.stall_timeout_s, self.remaining_s())


class Answer:
    """An HTTP response whose body is read piece by piece."""

    def __init__(self, fetcher: Fetcher, connected: Connection, host: str, url: str) -> None:
        self._fetcher = fetcher
        self._connection = connected
        self._response: http.client.HTTPResponse | None = None
        self.host = host
        self.url = url
        """Of the last hop; it is never shown."""
        self.status = 0

    def request(self, port: int, default_port: int, target: str, headers: dict[str, str]) -> None:
        """Send the request and read status and headers, both within one stall timeout.

        Raises `SourceTimeoutError` or `SourceUnreachableError`.
        """
        client = http.client.HTTPConnection(self.host, port)
        client.default_port = default_port
        client.sock = self._connection  # has all methods of a socket that it uses
        common = {"User-Agent": _USER_AGENT, "Accept-Encoding": "identity"}
        try:
            self._allow(self._fetcher.header_timeout_s(), _MAX_HEADER_BYTES)
            with self._fetcher.interrupt.wakes(self._connection.wake):
                client.request("GET", target, headers=common | headers)
                self._response = client.getresponse()
        except (OSError, http.client.HTTPException, ValueError) as exc:
            self.close()
            raise self._translated(exc, "did not answer in time") from exc
        except BaseException:
            self.close()
            raise
        self.status = self._response.status
        encoding = self.header("content-encoding")
        if encoding not in {None, "", "identity"}:
            self.close()
            raise SourceUnreachableError(
                f"{self.host} sent a content encoding that was not requested"
            )

    def header(self, name: str) -> str | None:
        return None if self._response is None else self._response.getheader(name)

    def length(self) -> int | None:
        """Return the `Content-Length` of the body, None without one."""
        try:
            return content_length(self.header("content-length"))
        except ValueError as exc:
            raise SourceUnreachableError(f"{self.host} sent an invalid Content-Length") from exc

    def content_range(self) -> ContentRange:
        """Return the range of bytes that a 206 holds."""
        try:
            return content_range(self.header("content-range"))
        except ValueError as exc:
            raise SourceUnreachableError(f"{self.host} sent no valid Content-Range") from exc

    def validators(self) -> tuple[str | None, str | None]:
        """Return (strong ETag, Last-Modified), None for a missing one."""
        etag = self.header("etag")
        return etag if etag and etag.startswith('"') else None, self.header("last-modified")

    def read(self, n_bytes: int) -> bytes:
        """Return 1 to `n_bytes` bytes, none at the end of the body (also a premature one).

        Raises `SourceTimeoutError` when the origin is silent or below the minimum rate, and
        `SourceUnreachableError` on a reset.
        """
        if self._response is None:
            return b""
        try:
            self._allow(self._fetcher.remaining_s(), n_bytes + _MAX_FRAMING_BYTES)
            with self._fetcher.interrupt.wakes(self._connection.wake):
                data = self._response.read1(n_bytes)
        except (OSError, http.client.HTTPException, ValueError, AttributeError) as exc:
            raise self._translated(exc, "went silent, or sends too slowly") from exc
        self._fetcher.interrupt.raise_if_set()
        return data

    def close(self) -> None:
        """Close the connection; idempotent."""
        if self._response is not None:
            self._response.close()
        self._connection.end()

    def _allow(self, time_s: float, n_bytes: int) -> None:
        self._connection.deadline_s = time.monotonic() + time_s
        self._connection.budget_bytes = n_bytes

    def _translated(self, exc: Exception, slowly: str) -> SourceError:
        self._fetcher.interrupt.raise_if_set()
        if isinstance(exc, TimeoutError):
            return SourceTimeoutError(f"{self.host} {slowly}")
        return SourceUnreachableError(f"{self.host} closed the connection unexpectedly")


def _have_one_origin(url: str, other: str) -> bool:
    """Tell whether both have one; the target of a redirect may have none."""
    try:
        return origin(split_url(url)) == origin(split_url(other))
    except ValueError:
        return False
