"""Connect to a live source by the protocol of its URL."""

from streamproc.source.fetch.interrupt import Interrupt
from streamproc.source.fetch.policy import FetchPolicy
from streamproc.source.live.address import HttpUrl, LiveUrl
from streamproc.source.live.connection import LiveConnection
from streamproc.source.live.credentials import Credentials
from streamproc.source.live.hls.place import Place
from streamproc.source.live.hls.playlist import Loaded
from streamproc.source.live.hls.stream import open_hls
from streamproc.source.live.http_stream import open_http
from streamproc.source.live.rtmp.stream import open_rtmp
from streamproc.source.live.rtmp.url import RtmpUrl
from streamproc.source.live.session import open_session


def open_connection(
    url: LiveUrl,
    credentials: Credentials | None,
    policy: FetchPolicy,
    interrupt: Interrupt,
    *,
    is_udp: bool = False,
    place: Place | None = None,
) -> LiveConnection:
    """Connect and wait until it plays. Raises a `SourceError`; the interrupt ends it.

    `is_udp` counts for RTSP alone, `place` for HLS: where the source's session before ended.
    """
    stall_s = policy.live_stall_s
    if isinstance(url, RtmpUrl):
        return open_rtmp(url, policy, interrupt, stall_s=stall_s)
    if not isinstance(url, HttpUrl):
        return open_session(url, credentials, policy, interrupt, is_udp=is_udp)
    target = url.target
    found = open_http(target, policy, interrupt, stall_s=stall_s, credentials=credentials)
    if isinstance(found, Loaded):
        return open_hls(
            target,
            policy,
            interrupt,
            stall_s=stall_s,
            credentials=credentials,
            place=place,
            loaded=found,
        )
    return found
