"""URLs of RTMP: rtmp://host[:port]/application/stream[?query]. The text is never shown."""

from typing import Final, NamedTuple
from urllib.parse import urlsplit

PORTS: Final = {"rtmp": 1935, "rtmps": 443}
MAX_CHARACTERS: Final = 2048


class RtmpUrl(NamedTuple):
    """`application` and `stream` as the server knows them; the query belongs to the stream.

    The last part of the path is the stream, the parts before it are the application.
    """

    scheme: str
    host: str
    port: int
    application: str
    stream: str

    def __repr__(self) -> str:
        return f"RtmpUrl({self.host!r})"

    @property
    def is_tls(self) -> bool:
        return self.scheme == "rtmps"

    @property
    def application_url(self) -> str:
        """Of the application, as the `connect` command names it."""
        return f"{self.scheme}://{self.host}:{self.port}/{self.application}"


def is_rtmp(url: str) -> bool:
    return url.lower().startswith(tuple(f"{scheme}:" for scheme in PORTS))


def parse(url: str) -> RtmpUrl:
    """Parse a URL. Raises `ValueError`, whose text shows nothing of it."""
    if len(url) > MAX_CHARACTERS:
        raise ValueError(f"a URL of over {MAX_CHARACTERS} characters")
    if not url.isprintable() or " " in url:
        raise ValueError("a URL with blanks or control characters")
    try:
        parts = urlsplit(url)
        scheme, host, port = parts.scheme.lower(), parts.hostname, parts.port
    except ValueError as exc:
        raise ValueError("an invalid URL") from exc
    if scheme not in PORTS or not host:
        raise ValueError("a URL of RTMP begins with rtmp:// or rtmps:// and names a host")
    if parts.username is not None or parts.password is not None:
        raise ValueError("RTMP has no login: tokens belong in the stream's name or query")
    application, _, stream = parts.path.strip("/").rpartition("/")
    if not application or not stream:
        raise ValueError("a URL of RTMP names an application and a stream: rtmp://host/app/stream")
    query = f"?{parts.query}" if parts.query else ""
    return RtmpUrl(scheme, host, port or PORTS[scheme], application, stream + query)
