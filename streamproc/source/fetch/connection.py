"""Connection to an origin with a deadline, a minimum transfer rate and a byte budget.

The limits are checked at every receive, below the HTTP client. They hold for everything that it
reads (status, headers, chunk sizes, data, trailers), and a slow trickle of bytes does not evade
them.
"""

import contextlib
import io
import socket
import ssl
import time
from functools import cache
from typing import Any, Final

from streamproc.source.errors import SourceTimeoutError, SourceUnreachableError
from streamproc.source.fetch.interrupt import Interrupt
from streamproc.source.fetch.transfer_rate import Pace

_MIN_TRY_S: Final = 1.0


class TooSlowError(TimeoutError):
    """The origin sends less than the minimum rate, or nothing."""


class TooMuchError(OSError):
    """The origin sends more than the byte budget of this read: endless headers or trailers."""


class Connection:
    """A connected socket with the interface that `http.client` uses, for one request at a time.

    `deadline_s` (monotonic clock) and `budget_bytes` limit the next reads; the owner sets them.
    """

    def __init__(self, connected: socket.socket, pace: Pace) -> None:
        self._socket = connected
        self._pace = pace
        self.deadline_s = 0.0
        self.budget_bytes = 0

    def sendall(self, data: bytes) -> None:
        self._socket.settimeout(self._left_s())
        self._socket.sendall(data)

    def makefile(self, *_: Any, **__: Any) -> io.BufferedReader:
        return io.BufferedReader(_Received(self))

    def close(self) -> None:
        """Do nothing: `http.client` closes before the body was read; `end` closes the socket."""

    def receive_into(self, buffer: Any) -> int:
        """Receive once. Raises `TooSlowError`, `TooMuchError` and `OSError`."""
        if self.budget_bytes <= 0:
            raise TooMuchError("more than was to be read")
        self._socket.settimeout(self._left_s())
        started_s = time.monotonic()
        n_bytes = 0
        try:
            n_bytes = self._socket.recv_into(buffer)
        except TimeoutError as exc:
            raise TooSlowError("nothing came in time") from exc
        finally:
            self._pace.note(time.monotonic() - started_s, n_bytes)
        self.budget_bytes -= n_bytes
        return n_bytes

    def wake(self) -> None:
        """Wake a blocked read or write, from any thread; the owner still has to call `end`."""
        hang_up(self._socket)

    def end(self) -> None:
        self._socket.close()

    def _left_s(self) -> float:
        left_s = min(self._pace.left_s, self.deadline_s - time.monotonic())
        if left_s <= 0:
            raise TooSlowError("the time is over")
        return left_s


class _Received(io.RawIOBase):
    """The received bytes of a connection, as a raw stream."""

    def __init__(self, connection: Connection) -> None:
        super().__init__()
        self._connection = connection

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        return self._connection.receive_into(buffer)


def connect(
    addresses: list[str],
    port: int,
    tls_name: str | None,
    timeout_s: float,
    interrupt: Interrupt,
    ca_file: str | None = None,
) -> socket.socket:
    """Connect to the first address that answers, with TLS if `tls_name` is given.

    `ca_file`: PEM file of the trusted certificate authorities; None: the default ones.

    Raises `OSError` (`TimeoutError` after `timeout_s`), `ValueError` for an invalid name.
    """
    deadline_s = time.monotonic() + timeout_s
    failure: Exception = OSError("no address")
    for i, address in enumerate(addresses):
        left_s = deadline_s - time.monotonic()
        if left_s <= 0 or interrupt.is_set:
            break
        try_s = min(left_s, max(_MIN_TRY_S, left_s / (len(addresses) - i)))
        try:
            return _connected(address, port, tls_name, try_s, interrupt, ca_file)
        except (OSError, ValueError) as exc:
            failure = exc
    raise failure


def dial(
    host: str,
    addresses: list[str],
    port: int,
    timeout_s: float,
    interrupt: Interrupt,
    *,
    is_tls: bool,
    ca_file: str | None = None,
) -> socket.socket:
    """Connect to a host at one of its addresses, with errors that name it.

    Raises `SourceTimeoutError`, `SourceUnreachableError` (its cause tells more), or the interrupt's
    error.
    """
    try:
        return connect(addresses, port, host if is_tls else None, timeout_s, interrupt, ca_file)
    except (OSError, ValueError) as exc:
        interrupt.raise_if_set()
        if isinstance(exc, TimeoutError):
            raise SourceTimeoutError(f"{host} did not accept a connection in time") from exc
        raise SourceUnreachableError(f"{host} cannot be reached") from exc


def hang_up(one: socket.socket) -> None:
    """Wake a thread that blocks on a socket, also while it connects. Any thread may call it."""
    with contextlib.suppress(OSError):
        # The plain socket's method: that of a TLS socket would drop its TLS state under the reader.
        socket.socket.shutdown(one, socket.SHUT_RDWR)


def _connected(
    address: str,
    port: int,
    tls_name: str | None,
    timeout_s: float,
    interrupt: Interrupt,
    ca_file: str | None,
) -> socket.socket:
    deadline_s = time.monotonic() + timeout_s
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    plain = socket.socket(family, socket.SOCK_STREAM)
    try:
        plain.settimeout(timeout_s)
        with interrupt.wakes(lambda: hang_up(plain)):
            plain.connect((address, port))
        if tls_name is None:
            return plain
        wrapped = _tls_context(ca_file).wrap_socket(
            plain, server_hostname=tls_name, do_handshake_on_connect=False
        )
    except BaseException:
        plain.close()
        raise
    try:
        wrapped.settimeout(max(0.01, deadline_s - time.monotonic()))
        with interrupt.wakes(lambda: hang_up(wrapped)):
            wrapped.do_handshake()
    except BaseException:
        wrapped.close()
        raise
    return wrapped


@cache
def _tls_context(ca_file: str | None) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=ca_file)
