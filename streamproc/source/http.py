"""One guarded HTTP GET: every hop's addresses checked, connected to by address, time-bounded.

The standard library's client is enough and lets the connection be made to exactly the address
that was checked, while TLS and the Host header keep the name. Proxies of the environment are not
used. Failures become `SourceError`s that name the host and nothing else of the URL.
"""

import contextlib
import http.client
import socket
import ssl
import threading
import time
from typing import Final
from urllib.parse import SplitResult, urljoin, urlsplit

from streamproc.source.address import checked_addresses
from streamproc.source.errors import (
    SourceForbiddenError,
    SourceRedirectError,
    SourceStatusError,
    SourceTimeoutError,
    SourceUnreachableError,
)
from streamproc.source.policy import FetchPolicy

_REDIRECTS: Final = frozenset({301, 302, 303, 307, 308})
_USER_AGENT: Final = "framewire"


class Fetcher:
    """Makes requests for one source within its total time; `abort()` ends them from any thread."""

    def __init__(self, url: str, policy: FetchPolicy) -> None:
        self._url = url
        self._policy = policy
        self._deadline = time.monotonic() + policy.total_timeout_s
        self._lock = threading.Lock()
        self._open: set[Answer] = set()
        self._aborted = False

    def get(self, headers: dict[str, str]) -> "Answer":
        """Send a GET, following redirects; the answer's status is 200, 206, 412 or 416.

        The place a redirect led to is not remembered: presigned targets expire.
        """
        url = self._url
        for _ in range(self._policy.max_redirects + 1):
            answer = self._hop(url, headers)
            if answer.status in {200, 206, 412, 416}:
                return answer
            location = answer.header("location")
            status, host = answer.status, answer.host
            answer.close()
            if status not in _REDIRECTS or location is None:
                raise SourceStatusError(f"{host} answered with status {status}")
            url = urljoin(url, location)
        raise SourceRedirectError(f"more than {self._policy.max_redirects} redirects")

    def abort(self) -> None:
        """End every running request; later ones fail."""
        with self._lock:
            self._aborted = True
            running = list(self._open)
        for answer in running:
            answer.hang_up()

    def forget(self, answer: "Answer") -> None:
        with self._lock:
            self._open.discard(answer)

    def remaining_s(self) -> float:
        """Seconds left of the total time; raises `SourceTimeoutError` when there are none."""
        left_s = self._deadline - time.monotonic()
        if left_s <= 0:
            raise SourceTimeoutError(f"not fetched within {self._policy.total_timeout_s:g} s")
        return left_s

    def _hop(self, url: str, headers: dict[str, str]) -> "Answer":
        parts = _split(url)
        host = parts.hostname or ""
        port = parts.port or (443 if parts.scheme == "https" else 80)
        policy = self._policy
        addresses = checked_addresses(
            host,
            port,
            exempt=policy.allowed_private_hosts,
            timeout_s=min(policy.connect_timeout_s, self.remaining_s()),
        )
        connection = self._connect(parts.scheme, host, port, addresses)
        answer = Answer(self, connection, host, min(policy.stall_timeout_s, self.remaining_s()))
        with self._lock:
            self._open.add(answer)
            aborted = self._aborted
        if aborted:
            answer.close()
            raise SourceUnreachableError("the fetch was aborted")
        target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        answer.request(target, headers)
        return answer

    def _connect(
        self, scheme: str, host: str, port: int, addresses: list[str]
    ) -> http.client.HTTPConnection:
        failure: Exception | None = None
        for address in addresses:
            timeout_s = min(self._policy.connect_timeout_s, self.remaining_s())
            try:
                raw = socket.create_connection((address, port), timeout_s)
            except OSError as exc:
                failure = exc
                continue
            try:
                connection = http.client.HTTPConnection(host, port)
                connection.sock = _with_tls(raw, host) if scheme == "https" else raw
            except (OSError, ValueError) as exc:
                raw.close()
                failure = exc
                continue
            if scheme == "https":
                connection.default_port = 443
            return connection
        if isinstance(failure, TimeoutError):
            raise SourceTimeoutError(f"{host} did not accept a connection in time") from failure
        raise SourceUnreachableError(f"{host} cannot be connected to") from failure


class Answer:
    """A response whose body is read piece by piece."""

    def __init__(
        self,
        fetcher: Fetcher,
        connection: http.client.HTTPConnection,
        host: str,
        stall_timeout_s: float,
    ) -> None:
        self._fetcher = fetcher
        self._connection = connection
        self._stall_timeout_s = stall_timeout_s
        self._socket = connection.sock
        self._response: http.client.HTTPResponse | None = None
        self.host = host
        self.status = 0

    def request(self, target: str, headers: dict[str, str]) -> None:
        """Send the request and read status and headers, both within one stall timeout."""
        late = threading.Timer(self._stall_timeout_s, self.hang_up)
        late.daemon = True
        late.start()
        started = time.monotonic()
        try:
            self._socket.settimeout(self._stall_timeout_s)
            common = {"User-Agent": _USER_AGENT, "Accept-Encoding": "identity"}
            self._connection.request("GET", target, headers=common | headers)
            self._response = self._connection.getresponse()
        except (OSError, http.client.HTTPException, ValueError) as exc:
            self.close()
            is_late = time.monotonic() - started >= self._stall_timeout_s * 0.99
            if isinstance(exc, TimeoutError) or is_late:
                raise SourceTimeoutError(f"{self.host} did not answer in time") from exc
            raise SourceUnreachableError(f"{self.host} broke the connection") from exc
        finally:
            late.cancel()
        self.status = self._response.status
        encoding = self.header("content-encoding")
        if encoding not in {None, "", "identity"}:
            self.close()
            raise SourceUnreachableError(f"{self.host} sends an encoding that was not asked for")

    def header(self, name: str) -> str | None:
        return None if self._response is None else self._response.getheader(name)

    def read(self, n_bytes: int) -> bytes:
        """Return 1 to `n_bytes` bytes, none at the end of the body (also a premature one).

        Raises `SourceTimeoutError` after a silence, `SourceUnreachableError` on a reset.
        """
        if self._response is None:
            return b""
        self._fetcher.remaining_s()
        try:
            return self._response.read1(n_bytes)
        except TimeoutError as exc:
            raise SourceTimeoutError(f"{self.host} went silent") from exc
        except (OSError, http.client.HTTPException, ValueError, AttributeError) as exc:
            raise SourceUnreachableError(f"{self.host} broke the connection") from exc

    def hang_up(self) -> None:
        """Wake a blocked read, from any thread; the owner still closes."""
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Close the connection; again is fine."""
        self._fetcher.forget(self)
        if self._response is not None:
            self._response.close()
        self._connection.close()
        self._socket.close()


def _split(url: str) -> SplitResult:
    try:
        parts = urlsplit(url)
        has_port = parts.port is None or parts.port > 0
    except ValueError as exc:
        raise SourceForbiddenError("the source's URL cannot be read") from exc
    if parts.scheme not in {"http", "https"}:
        raise SourceForbiddenError("only http and https can be fetched")
    if not parts.hostname or not has_port:
        raise SourceForbiddenError("the source's URL names no host")
    return parts


def _with_tls(raw: socket.socket, host: str) -> ssl.SSLSocket:
    return ssl.create_default_context().wrap_socket(raw, server_hostname=host)
