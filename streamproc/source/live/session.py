"""One connection to a camera: dialled behind the address guard, read until it is lost.

    with closing(open_session(url, credentials, policy, interrupt)) as session:
        while True:
            for unit in session.receive(): …

Every host, also that of a redirect, is resolved and checked, and the connection goes to the checked
address. Errors name the host and nothing else of the URL.
"""

import socket
import time
from collections.abc import Iterator
from typing import Final

from streamproc.source.errors import (
    SourceForbiddenError,
    SourceProtocolError,
    SourceRedirectError,
    SourceTimeoutError,
    SourceUnreachableError,
)
from streamproc.source.fetch.interrupt import Interrupt
from streamproc.source.fetch.policy import FetchPolicy
from streamproc.source.live.byte_rate import ByteRate
from streamproc.source.live.connection import VideoTrack
from streamproc.source.live.credentials import Credentials
from streamproc.source.live.link import Link, dial
from streamproc.source.live.rtp.depacketizer import AccessUnit, Depacketizer
from streamproc.source.live.rtp.packet import Bye, is_rtcp, parse_rtcp
from streamproc.source.live.rtp.picture_size import Size
from streamproc.source.live.rtsp.client import Client
from streamproc.source.live.rtsp.events import (
    Described,
    Desynchronised,
    Ended,
    Event,
    Playing,
    Redirected,
    RtcpReceived,
    RtpReceived,
)
from streamproc.source.live.rtsp.sdp import Description, Track
from streamproc.source.live.rtsp.url import PORTS, RtspUrl, follow
from streamproc.source.live.sender_time import ReceivedReport
from streamproc.source.live.stall import OPEN_TIMEOUT_S, Stall
from streamproc.source.live.udp_ports import UdpPorts

_MAX_EARLY_BYTES: Final = 16 << 20


class Session:
    """A connection that plays; made by `open_session`. Not thread-safe, except `interrupt`."""

    def __init__(
        self,
        url: RtspUrl,
        credentials: Credentials | None,
        connected: socket.socket,
        interrupt: Interrupt,
        *,
        is_udp: bool,
        stall_s: float,
    ) -> None:
        self.url = url
        self.description: Description | None = None
        self.report: ReceivedReport | None = None
        """The newest sender report."""
        self.n_bytes = 0
        """Bytes of RTP."""
        self._link = Link(url.host, connected, interrupt, stall_s)
        self._udp = UdpPorts(connected) if is_udp else None
        ports = None if self._udp is None else self._udp.own
        now_s = time.monotonic()
        self._client = Client(url, credentials, udp_ports=ports, now_s=now_s)
        self._depacketizer: Depacketizer | None = None
        self._is_playing = False
        self._stall = Stall(url.host, stall_s, now_s)
        self._rate = ByteRate(url.host, now_s)
        self._early: list[AccessUnit] = []

    @property
    def depacketizer(self) -> Depacketizer:
        """The state of the track: size, parameter sets, lost packets."""
        if self._depacketizer is None:
            raise SourceProtocolError(f"{self.url.host} has not described its video")
        return self._depacketizer

    @property
    def track(self) -> Track:
        return self.depacketizer.track

    @property
    def host(self) -> str:
        return self.url.host

    @property
    def transport(self) -> str:
        return "tcp" if self._udp is None else "udp"

    @property
    def video(self) -> VideoTrack:
        return VideoTrack(self.track.codec, self.track.clock_hz, self.track.declared_fps)

    @property
    def size(self) -> Size | None:
        return self.depacketizer.size

    @property
    def n_lost(self) -> int:
        return self.depacketizer.n_lost

    @property
    def n_other_tracks(self) -> int:
        found = self.description
        return 0 if found is None else found.n_video - 1 + found.n_other

    def start(self) -> str | None:
        """Play; returns None, or the place that the camera redirects to. Raises a `SourceError`."""
        deadline_s = time.monotonic() + OPEN_TIMEOUT_S
        while not self._is_playing:
            for event in self._turn():
                if isinstance(event, Redirected):
                    return event.location
                self._early += self._units(event)
            if sum(len(unit.data) for unit in self._early) > _MAX_EARLY_BYTES:
                raise SourceProtocolError(f"{self.url.host} sends, but never said that it plays")
            if time.monotonic() > deadline_s:
                raise SourceTimeoutError(f"{self.url.host} did not play in time")
        self._stall.restart(time.monotonic())
        return None

    def receive(self) -> list[AccessUnit]:
        """Wait for the next pictures; the list may be empty. Raises a `SourceError` at a loss."""
        if self._early:
            early, self._early = self._early, []
            return early
        units: list[AccessUnit] = []
        for event in self._turn():
            units += self._units(event)
        now_s = time.monotonic()
        units += self.depacketizer.tick(now_s)
        self._stall.check(now_s, has_pictures=bool(units))
        return units

    def close(self) -> None:
        """End the session and close the sockets; idempotent."""
        self._client.close(time.monotonic())
        self._link.close(self._client.output())
        if self._udp is not None:
            self._udp.close()

    def _turn(self) -> Iterator[Event]:
        """Send what is due, wait a moment, and yield what came."""
        self._client.tick(time.monotonic())
        self._report(time.monotonic())
        self._link.send(self._client.output())
        for is_rtcp_port, data in self._datagrams():
            self._rate.count(len(data), time.monotonic())
            yield RtcpReceived(data) if is_rtcp_port else RtpReceived(data)
        data = self._link.read(() if self._udp is None else self._udp.sockets)
        self._rate.count(len(data), time.monotonic())
        if data:
            yield from self._client.receive(data, time.monotonic())
            self._link.send(self._client.output())

    def _units(self, event: Event) -> Iterator[AccessUnit]:
        now_s = time.monotonic()
        match event:
            case Described(description):
                self.description = description
                self._depacketizer = Depacketizer(description.track, is_udp=self._udp is not None)
            case Playing(server_ports):
                self._is_playing = True
                if self._udp is not None:
                    self._udp.connect(server_ports)
            case RtpReceived(data) if not is_rtcp(data):
                self.n_bytes += len(data)
                yield from self.depacketizer.push(data, now_s)
            case RtpReceived(data) | RtcpReceived(data):
                self._note_reports(data)
            case Desynchronised():
                if self._depacketizer is not None:
                    self._depacketizer.lose()
            case Ended():
                raise SourceUnreachableError(f"{self.url.host} ended the session")
            case Redirected():
                raise SourceUnreachableError(f"{self.url.host} moved to another place")

    def _note_reports(self, data: bytes) -> None:
        for one in parse_rtcp(data):
            if isinstance(one, Bye):
                raise SourceUnreachableError(f"{self.url.host} ended the stream")
            timestamp, now_s = self.depacketizer.timestamp_near(one.timestamp), time.monotonic()
            self.report = ReceivedReport(one, timestamp, now_s)
            self.depacketizer.receiver_reports.note_report(one, now_s)

    def _report(self, now_s: float) -> None:
        """Send a receiver report when it is time."""
        if self._depacketizer is None or not self._is_playing:
            return
        data = self._depacketizer.receiver_reports.due(now_s)
        if data is not None and self._udp is not None:
            self._udp.send_rtcp(data)
        elif data is not None:
            self._client.send_rtcp(data)

    def _datagrams(self) -> Iterator[tuple[bool, bytes]]:
        if self._udp is not None and self._depacketizer is not None:
            yield from self._udp.receive()


def open_session(
    url: RtspUrl,
    credentials: Credentials | None,
    policy: FetchPolicy,
    interrupt: Interrupt,
    *,
    is_udp: bool = False,
) -> Session:
    """Connect, follow redirects, and play. Raises a `SourceError`; the interrupt ends it."""
    for _ in range(policy.max_redirects + 1):
        connected = dial(
            url.host,
            url.port,
            policy,
            interrupt,
            is_tls=url.is_tls,
            usual_ports=[*PORTS.values()],
        )
        try:
            session = Session(
                url, credentials, connected, interrupt, is_udp=is_udp, stall_s=policy.live_stall_s
            )
        except BaseException:
            connected.close()
            raise
        try:
            location = session.start()
        except BaseException:
            session.close()
            raise
        if location is None:
            return session
        session.close()
        try:
            url, credentials = follow(url, credentials, location)
        except ValueError as exc:
            raise SourceForbiddenError(f"{url.host} redirects to an invalid URL") from exc
    raise SourceRedirectError(f"more than {policy.max_redirects} redirects")
