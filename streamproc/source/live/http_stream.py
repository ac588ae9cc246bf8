"""One HTTP response that never ends: MPEG-TS, FLV or MJPEG, read until it is lost.

The container is told by the media type and the first bytes, never by the name. Every hop passes the
address guard; errors name the host and nothing else of the URL.
"""

import time
from typing import Final

from streamproc.source.errors import (
    SourceNotVideoError,
    SourceTimeoutError,
    SourceUnreachableError,
)
from streamproc.source.fetch.http_client import Answer
from streamproc.source.fetch.interrupt import Interrupt
from streamproc.source.fetch.policy import FetchPolicy
from streamproc.source.live.byte_rate import ByteRate
from streamproc.source.live.connection import VideoTrack
from streamproc.source.live.containers.demuxer import Demuxer
from streamproc.source.live.containers.flv import FlvStream
from streamproc.source.live.containers.multipart import MultipartJpeg, boundary_in, boundary_of
from streamproc.source.live.containers.transport_stream import TransportStream
from streamproc.source.live.credentials import Credentials
from streamproc.source.live.hls.playlist import MAX_BYTES, Loaded
from streamproc.source.live.http_requests import Requests, read_up_to
from streamproc.source.live.rtp.depacketizer import AccessUnit
from streamproc.source.live.rtp.picture_size import Size
from streamproc.source.live.sender_time import ReceivedReport
from streamproc.source.live.stall import OPEN_TIMEOUT_S, Stall

PLAYLIST: Final = b"#EXTM3U"
_READ_BYTES: Final = 64 * 1024
_SNIFFED_BYTES: Final = 188


class HttpStream:
    """A response that plays; made by `open_http`. Not thread-safe, except the interrupt."""

    transport = "http"
    n_other_tracks = 0
    report: ReceivedReport | None = None
    """There are no sender reports: the time of arrival counts."""

    def __init__(self, answer: Answer, demuxer: Demuxer, first: bytes, stall_s: float) -> None:
        """`first`: bytes of the body that were read already."""
        self.host = answer.host
        self._answer, self._demuxer = answer, demuxer
        now_s = time.monotonic()
        self._stall = Stall(self.host, stall_s, now_s)
        self._rate = ByteRate(self.host, now_s)
        self._early = [*demuxer.push(first, now_s)]

    @property
    def video(self) -> VideoTrack:
        return VideoTrack(self.codec or "", self.clock_hz)

    @property
    def codec(self) -> str | None:
        return self._demuxer.codec

    @property
    def clock_hz(self) -> int:
        return self._demuxer.clock_hz

    @property
    def size(self) -> Size | None:
        return self._demuxer.size

    @property
    def n_lost(self) -> int:
        return self._demuxer.n_lost

    def start(self) -> None:
        """Wait for the first picture. Raises a `SourceError`."""
        deadline_s = time.monotonic() + OPEN_TIMEOUT_S
        while not self._early:
            self._early = self.receive()
            if time.monotonic() > deadline_s:
                raise SourceTimeoutError(f"{self.host} sent no picture in time")

    def receive(self) -> list[AccessUnit]:
        """Wait for bytes and return the pictures that they complete, maybe none.

        Raises a `SourceError` at a loss: the end of the body is one.
        """
        if self._early:
            early, self._early = self._early, []
            return early
        data = self._answer.read(_READ_BYTES)
        now_s = time.monotonic()
        if not data:
            raise SourceUnreachableError(f"{self.host} ended the stream")
        self._rate.count(len(data), now_s)
        units = [*self._demuxer.push(data, now_s)]
        self._stall.check(now_s, has_pictures=bool(units))
        return units

    def close(self) -> None:
        """Close the connection; idempotent."""
        self._answer.close()


def open_http(
    url: str,
    policy: FetchPolicy,
    interrupt: Interrupt,
    *,
    stall_s: float,
    credentials: Credentials | None = None,
) -> HttpStream | Loaded:
    """Request `url`. Return the stream, or the playlist that it is.

    Raises a `SourceError`; the interrupt ends it.
    """
    answer = Requests(url, credentials, policy, interrupt, stall_s=stall_s).get(url)
    try:
        boundary = boundary_of(answer.header("content-type") or "")
        first = b""
        if boundary is None:
            while len(first) < _SNIFFED_BYTES and (data := answer.read(_READ_BYTES)):
                first += data
            if first.removeprefix(b"\xef\xbb\xbf").startswith(PLAYLIST):
                data = read_up_to(answer, MAX_BYTES, first)
                answer.close()
                return Loaded(answer.url, answer.host, data)
            boundary = boundary_in(first)
        stream = HttpStream(answer, _demuxer(answer.host, boundary, first), first, stall_s)
        stream.start()
    except BaseException:
        answer.close()
        raise
    return stream


def _demuxer(host: str, boundary: bytes | None, first: bytes) -> Demuxer:
    if boundary is not None:
        return MultipartJpeg(host, boundary)
    if first.startswith(b"FLV"):
        return FlvStream(host)
    if first[:1] == b"\x47":
        return TransportStream(host)
    raise SourceNotVideoError(f"{host} sends no MPEG-TS, FLV, MJPEG or playlist of HLS")
