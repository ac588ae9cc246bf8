"""One RTMP connection that plays, dialled behind the address guard and read until it is lost."""

import os
import time
from collections.abc import Iterator
from typing import Final

from streamproc.source.errors import SourceProtocolError, SourceTimeoutError
from streamproc.source.fetch.interrupt import Interrupt
from streamproc.source.fetch.policy import FetchPolicy
from streamproc.source.live.byte_rate import ByteRate
from streamproc.source.live.connection import VideoTrack
from streamproc.source.live.containers import flv
from streamproc.source.live.containers.flv import FlvVideo
from streamproc.source.live.link import Link, dial
from streamproc.source.live.rtmp.client import Client
from streamproc.source.live.rtmp.url import PORTS, RtmpUrl
from streamproc.source.live.rtp.depacketizer import AccessUnit
from streamproc.source.live.rtp.picture_size import Size
from streamproc.source.live.sender_time import ReceivedReport
from streamproc.source.live.stall import OPEN_TIMEOUT_S, Stall

_HANDSHAKE_RANDOM: Final = 1528


class RtmpStream:
    """A connection that plays; made by `open_rtmp`. Not thread-safe, except the interrupt."""

    transport = "rtmp"
    n_other_tracks = 0
    clock_hz = flv.CLOCK_HZ
    n_lost = 0
    report: ReceivedReport | None = None
    """There are no sender reports: the time of arrival counts."""

    def __init__(self, url: RtmpUrl, link: Link, stall_s: float) -> None:
        self.host = url.host
        self._link = link
        self._client = Client(url, os.urandom(_HANDSHAKE_RANDOM))
        self._video = FlvVideo(url.host)
        now_s = time.monotonic()
        self._stall = Stall(url.host, stall_s, now_s)
        self._rate = ByteRate(url.host, now_s)
        self._early: list[AccessUnit] = []

    @property
    def video(self) -> VideoTrack:
        return VideoTrack(self.codec or "", self.clock_hz)

    @property
    def codec(self) -> str | None:
        return self._video.codec

    @property
    def size(self) -> Size | None:
        return self._video.size

    def start(self) -> None:
        """Wait for the first picture. Raises a `SourceError`."""
        deadline_s = time.monotonic() + OPEN_TIMEOUT_S
        while not self._early:
            self._early = [*self._turn()]
            if time.monotonic() > deadline_s:
                raise SourceTimeoutError(f"{self.host} sent no picture in time")
        self._stall.restart(time.monotonic())

    def receive(self) -> list[AccessUnit]:
        """Return the pictures that came, after a short wait maybe none. Raises at a loss."""
        if self._early:
            early, self._early = self._early, []
            return early
        units = [*self._turn()]
        self._stall.check(time.monotonic(), has_pictures=bool(units))
        return units

    def close(self) -> None:
        """Leave the stream and close the connection; idempotent."""
        self._client.close()
        self._link.close(self._client.output())

    def _turn(self) -> Iterator[AccessUnit]:
        self._link.send(self._client.output())
        data = self._link.read()
        now_s = time.monotonic()
        self._rate.count(len(data), now_s)
        for body, time_ms in self._client.receive(data):
            unit = self._video.add(body, time_ms, now_s)
            if unit is not None:
                yield unit
        self._link.send(self._client.output())


def open_rtmp(
    url: RtmpUrl, policy: FetchPolicy, interrupt: Interrupt, *, stall_s: float
) -> RtmpStream:
    """Connect and play. Raises a `SourceError`; the interrupt ends it."""
    connected = dial(
        url.host, url.port, policy, interrupt, is_tls=url.is_tls, usual_ports=[*PORTS.values()]
    )
    stream = RtmpStream(url, Link(url.host, connected, interrupt, stall_s), stall_s)
    try:
        stream.start()
    except BaseException:
        stream.close()
        raise
    if stream.codec is None:
        raise SourceProtocolError(f"{url.host} sent pictures of no codec")
    return stream
