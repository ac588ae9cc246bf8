"""A TCP or TLS connection to a live source, read in short waits that an interrupt ends."""

import contextlib
import select
import socket
import ssl
from collections.abc import Sequence
from typing import Final

import msgspec

from streamproc.source.errors import SourceTimeoutError, SourceUnreachableError
from streamproc.source.fetch import connection
from streamproc.source.fetch.address_guard import checked_addresses
from streamproc.source.fetch.interrupt import Interrupt
from streamproc.source.fetch.policy import FetchPolicy

TICK_S: Final = 0.05
_READ_BYTES: Final = 256 * 1024
_GOODBYE_S: Final = 0.2


class Link:
    """One connection. One thread at a time; the interrupt from any."""

    def __init__(
        self, host: str, connected: socket.socket, interrupt: Interrupt, stall_s: float
    ) -> None:
        """`host` is named in errors; `stall_s`: longest time that a write may take."""
        self.socket = connected
        self._host, self._interrupt, self._stall_s = host, interrupt, stall_s

    def send(self, data: bytes) -> None:
        """Send all bytes. Raises a `SourceError`, or the interrupt's error."""
        if not data:
            return
        try:
            self.socket.settimeout(self._stall_s)
            with self._interrupt.wakes(lambda: connection.hang_up(self.socket)):
                self.socket.sendall(data)
        except TimeoutError as exc:
            self._interrupt.raise_if_set()
            raise SourceTimeoutError(f"{self._host} takes nothing any more") from exc
        except OSError as exc:
            self._interrupt.raise_if_set()
            raise SourceUnreachableError(f"{self._host} broke the connection") from exc

    def read(self, others: Sequence[socket.socket] = ()) -> bytes:
        """Return what has come, after a wait of at most `TICK_S`; nothing if it is silent.

        Bytes at one of the `others` end the wait, too. Raises `SourceUnreachableError` at the end
        of the connection, or the interrupt's error.
        """
        try:
            self.socket.settimeout(TICK_S)
            with self._interrupt.wakes(lambda: connection.hang_up(self.socket)):
                if not self._is_ready(others):
                    return b""
                data = self.socket.recv(_READ_BYTES)
        except (TimeoutError, ssl.SSLWantReadError):
            data = None
        except (OSError, ValueError) as exc:
            self._interrupt.raise_if_set()
            raise SourceUnreachableError(f"{self._host} broke the connection") from exc
        self._interrupt.raise_if_set()
        if data == b"":
            raise SourceUnreachableError(f"{self._host} closed the connection")
        return data or b""

    def close(self, goodbye: bytes = b"") -> None:
        """Send the last bytes if that is possible at once, and close; idempotent."""
        with contextlib.suppress(OSError):
            self.socket.settimeout(_GOODBYE_S)
            self.socket.sendall(goodbye)
        self.socket.close()

    def _is_ready(self, others: Sequence[socket.socket]) -> bool:
        """Wait until the connection has bytes, or one of the others; whether it is this one."""
        if isinstance(self.socket, ssl.SSLSocket) and self.socket.pending():
            return True
        waiting = select.poll()
        for one in (self.socket, *others):
            waiting.register(one, select.POLLIN)
        return self.socket.fileno() in {number for number, _ in waiting.poll(TICK_S * 1000)}


def dial(
    host: str,
    port: int,
    policy: FetchPolicy,
    interrupt: Interrupt,
    *,
    is_tls: bool,
    usual_ports: Sequence[int],
) -> socket.socket:
    """Connect to a checked address; the protocol's usual ports are allowed besides the policy's.

    Raises a `SourceError`.
    """
    policy = msgspec.structs.replace(
        policy, allowed_ports=policy.allowed_ports | frozenset(usual_ports)
    )
    addresses = checked_addresses(
        host, port, policy, timeout_s=policy.connect_timeout_s, interrupt=interrupt
    )
    try:
        connected = connection.dial(
            host,
            addresses,
            port,
            policy.connect_timeout_s,
            interrupt,
            is_tls=is_tls,
            ca_file=policy.ca_file,
        )
    except SourceUnreachableError as exc:
        if isinstance(exc.__cause__, ssl.SSLCertVerificationError):
            why = f"{host} has a TLS certificate that is not trusted"
            raise SourceUnreachableError(why) from exc.__cause__
        raise
    connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return connected
