"""RTSP URLs: where to connect, what to ask for, and the credentials apart from both."""

from typing import Final, NamedTuple
from urllib.parse import urlsplit

from streamproc.source.fetch.response_headers import redirected, split_url
from streamproc.source.live.credentials import Credentials, credentials_of

SCHEMES: Final = ("rtsp", "rtsps")
PORTS: Final = {"rtsp": 554, "rtsps": 322}
MAX_CHARACTERS: Final = 4096


class RtspUrl(NamedTuple):
    """A parsed URL; `target` is the absolute URL of requests, without user information."""

    scheme: str
    host: str
    port: int
    target: str

    @property
    def is_tls(self) -> bool:
        return self.scheme == "rtsps"

    def __repr__(self) -> str:
        """Leave out the path and the query, which may hold a secret."""
        return f"RtspUrl({self.scheme}://{self.host}:{self.port})"


def parse(url: str) -> tuple[RtspUrl, Credentials | None]:
    """Split a URL; characters that are not printable ASCII are percent-encoded.

    Raises `ValueError`, whose text never holds a part of the URL.
    """
    if len(url) > MAX_CHARACTERS:
        raise ValueError(f"the URL is longer than {MAX_CHARACTERS} characters")
    try:
        parts = split_url(url)
        host, port = parts.hostname or "", parts.port
    except ValueError as exc:
        raise ValueError("the URL is invalid") from exc
    scheme = parts.scheme.lower()
    if scheme not in SCHEMES:
        raise ValueError("the scheme must be rtsp or rtsps")
    if any(character.isspace() or not character.isprintable() for character in host):
        raise ValueError("the URL has no valid host")
    authority = f"[{host}]" if ":" in host else host
    if port is not None:
        authority += f":{port}"
    query = f"?{parts.query}" if parts.query else ""
    target = f"{scheme}://{authority}{parts.path}{query}"
    if not target.isascii():
        raise ValueError("the host must be written in ASCII")
    found = RtspUrl(scheme, host, port or PORTS[scheme], target)
    return found, credentials_of(parts)


def follow(
    current: RtspUrl, credentials: Credentials | None, location: str
) -> tuple[RtspUrl, Credentials | None]:
    """Return where a redirect leads. Raises `ValueError`.

    The credentials go along to the same host only, and not from TLS to plain text. A `Location`
    with its own user information replaces them.
    """
    found, own = parse(redirected(current.target, location))
    if own is not None:
        return found, own
    is_safe = found.host == current.host and (found.is_tls or not current.is_tls)
    return found, credentials if is_safe else None


def is_rtsp(url: str) -> bool:
    """Return whether the URL's scheme is one of RTSP's."""
    try:
        return urlsplit(url).scheme.lower() in SCHEMES
    except ValueError:
        return False
