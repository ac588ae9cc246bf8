"""A connection to a live source, whatever its protocol: pictures as they come, until it is lost."""

from typing import NamedTuple, Protocol

from streamproc.source.live.rtp.depacketizer import AccessUnit
from streamproc.source.live.rtp.picture_size import Size
from streamproc.source.live.sender_time import ReceivedReport


class VideoTrack(NamedTuple):
    """The video that is read. `codec`: `h264`, `hevc` or `mjpeg`; `clock_hz`: of its timestamps.

    `declared_fps` is the server's word, None without one.
    """

    codec: str
    clock_hz: int
    declared_fps: float | None = None


class LiveConnection(Protocol):
    """A connection that plays. One thread at a time."""

    @property
    def host(self) -> str:
        """Of the last redirect."""

    @property
    def transport(self) -> str:
        """How the video comes: `tcp` or `udp` for RTSP, `rtmp`, `http` or `hls`."""

    @property
    def video(self) -> VideoTrack: ...

    @property
    def size(self) -> Size | None:
        """Width and height that the stream announces; None before it does."""

    @property
    def n_lost(self) -> int:
        """Packets that never came."""

    @property
    def n_other_tracks(self) -> int:
        """Tracks besides the video, as far as the server tells of them."""

    @property
    def report(self) -> ReceivedReport | None:
        """The newest report of the source's own clock."""

    def receive(self) -> list[AccessUnit]:
        """Wait a moment for the next pictures; the list may be empty.

        Raises a `SourceError` at a loss, `StreamEnd` where the source ends as it should.
        """

    def close(self) -> None:
        """Hang up; idempotent."""
