"""The pair of UDP ports that a camera sends RTP and RTCP to; only its own address is heard."""

import contextlib
import secrets
import socket
from collections.abc import Iterator
from typing import Final

from streamproc.source.errors import SourceUnreachableError
from streamproc.source.live.rtsp.transport import Channels

_FIRST_PORT: Final = 20_000
_LAST_PORT: Final = 60_000
_TRIES: Final = 64
_RECEIVE_BYTES: Final = 4 << 20
_MAX_DATAGRAM: Final = 65_536
_MAX_A_TURN: Final = 256
_PUNCH: Final = bytes([0x80, 0]) + bytes(10)
"""An empty RTP packet: it opens the way back through a NAT or a firewall."""


class UdpPorts:
    """Two ports next to each other, the first even, on the address that RTSP is connected from."""

    def __init__(self, connected: socket.socket) -> None:
        """Bind a free pair. Raises `SourceUnreachableError` if there is none."""
        self._family = connected.family
        self._address = connected.getsockname()[0]
        self._peer = connected.getpeername()[0]
        self.sockets = self._bind()
        self.own = Channels(*(one.getsockname()[1] for one in self.sockets))

    def connect(self, ports: Channels | None) -> None:
        """Take datagrams from these ports of the camera only, and open the way back."""
        if ports is None:
            return
        for one, port in zip(self.sockets, ports, strict=True):
            with contextlib.suppress(OSError):
                one.connect((self._peer, port))
                one.send(_PUNCH)

    def send_rtcp(self, data: bytes) -> None:
        """Send an RTCP packet to the camera's port; lost if it never named one."""
        with contextlib.suppress(OSError):
            self.sockets[1].send(data)

    def receive(self) -> Iterator[tuple[bool, bytes]]:
        """Yield what has come, each with whether it came on the port of RTCP."""
        for is_rtcp, one in enumerate(self.sockets):
            for _ in range(_MAX_A_TURN):
                try:
                    data, sender = one.recvfrom(_MAX_DATAGRAM)
                except OSError:  # nothing more, or the camera's port is closed: silence shows it
                    break
                if sender[0] == self._peer:
                    yield bool(is_rtcp), data

    def close(self) -> None:
        for one in self.sockets:
            one.close()

    def _bind(self) -> tuple[socket.socket, socket.socket]:
        for _ in range(_TRIES):
            port = _FIRST_PORT + 2 * secrets.randbelow((_LAST_PORT - _FIRST_PORT) // 2)
            pair = [socket.socket(self._family, socket.SOCK_DGRAM) for _ in range(2)]
            try:
                for number, one in enumerate(pair):
                    one.setblocking(False)
                    one.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _RECEIVE_BYTES)
                    one.bind((self._address, port + number))
            except OSError:
                for one in pair:
                    one.close()
                continue
            return pair[0], pair[1]
        raise SourceUnreachableError("no pair of UDP ports is free")
