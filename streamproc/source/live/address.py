"""URLs of live sources: RTSP, RTMP, and HTTP (MPEG-TS, FLV, MJPEG, HLS), with the login apart."""

from typing import Final, NamedTuple
from urllib.parse import SplitResult

from streamproc.source.fetch.response_headers import split_url
from streamproc.source.live.credentials import Credentials, credentials_of
from streamproc.source.live.rtmp import url as rtmp
from streamproc.source.live.rtmp.url import RtmpUrl
from streamproc.source.live.rtsp import url as rtsp
from streamproc.source.live.rtsp.url import MAX_CHARACTERS, RtspUrl

_HTTP_PORTS: Final = {"http": 80, "https": 443}


class HttpUrl(NamedTuple):
    """`target` is the URL without user information. The repr shows the host only."""

    scheme: str
    host: str
    port: int
    target: str

    def __repr__(self) -> str:
        return f"HttpUrl({self.scheme}://{self.host}:{self.port})"

    @property
    def is_tls(self) -> bool:
        return self.scheme == "https"


LiveUrl = RtspUrl | RtmpUrl | HttpUrl


def parse(url: str) -> tuple[LiveUrl, Credentials | None]:
    """Split a URL by its scheme. Raises `ValueError`, whose text holds no part of it."""
    if len(url) > MAX_CHARACTERS:
        raise ValueError(f"the URL is longer than {MAX_CHARACTERS} characters")
    if rtsp.is_rtsp(url):
        return rtsp.parse(url)
    if rtmp.is_rtmp(url):
        return rtmp.parse(url), None
    try:
        parts = split_url(url)
        host, port = parts.hostname or "", parts.port
    except ValueError as exc:
        raise ValueError("the URL is invalid") from exc
    scheme = parts.scheme.lower()
    if scheme not in _HTTP_PORTS or not host:
        raise ValueError("the scheme must be rtsp, rtsps, rtmp, rtmps, http or https")
    found = HttpUrl(scheme, host, port or _HTTP_PORTS[scheme], _without_login(parts))
    return found, credentials_of(parts)


def identity(url: LiveUrl) -> str:
    """Return what names the source in its log: the URL without a login."""
    return f"{url.application_url}/{url.stream}" if isinstance(url, RtmpUrl) else url.target


def _without_login(parts: SplitResult) -> str:
    return parts._replace(netloc=parts.netloc.rpartition("@")[2], fragment="").geturl()
