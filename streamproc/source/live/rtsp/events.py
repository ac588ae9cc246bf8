"""What the RTSP client reports."""

from typing import NamedTuple

from streamproc.source.live.rtsp.sdp import Description
from streamproc.source.live.rtsp.transport import Channels


class Described(NamedTuple):
    """The server's description; its track is set up next."""

    description: Description


class Playing(NamedTuple):
    """PLAY was accepted. `server_ports`: of UDP, None for TCP or if the server names none."""

    server_ports: Channels | None


class RtpReceived(NamedTuple):
    data: bytes


class RtcpReceived(NamedTuple):
    data: bytes


class Desynchronised(NamedTuple):
    """Bytes were lost within the connection: the last packet may be damaged, too."""

    n_bytes: int


class Redirected(NamedTuple):
    """The client ends here; `location` is absolute, or relative to the URL."""

    location: str


class Ended(NamedTuple):
    """The server ended the session."""


Event = Described | Playing | RtpReceived | RtcpReceived | Desynchronised | Redirected | Ended
