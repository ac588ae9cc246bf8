"""URLs of live sources: RTSP, RTMP, HLS, and `camera:NAME`, a name that workers know.

Of HTTP, only playlists (`.m3u8`) are live by their URL; others are where the request says so.
"""

import re
from typing import Final
from urllib.parse import SplitResult, unquote, urlsplit

CAMERA: Final = "camera:"
MAX_RTSP_CHARS: Final = 4096
_SCHEMES: Final = frozenset(("rtsp", "rtsps", "rtmp", "rtmps", "camera"))
_WEB: Final = frozenset(("http", "https"))
_PLAYLIST: Final = ".m3u8"
_NAME: Final = re.compile(r"[a-z0-9][a-z0-9_-]{0,62}")
_ENCODED: Final = {"/": "%2F", "?": "%3F", "#": "%23", "@": "%40"}


def is_live(url: str, *, is_asked: bool = False) -> bool:
    """Return whether the URL is that of a live source.

    `is_asked`: the request has options of a live source, so that any URL of HTTP is one.
    """
    scheme, colon, rest = url.partition(":")
    if not colon:
        return False
    if scheme.lower() in _WEB:
        return is_asked or re.split(r"[?#]", rest, maxsplit=1)[0].lower().endswith(_PLAYLIST)
    return scheme.lower() in _SCHEMES


def camera_name(url: str | None) -> str | None:
    """Return the name in a `camera:` URL; None if it is none."""
    scheme, colon, name = (url or "").partition(":")
    return name if scheme.lower() + colon == CAMERA else None


def is_camera_name(name: str) -> bool:
    """Return whether a source may have this name: 1 to 63 letters, digits, `-` and `_`."""
    return _NAME.fullmatch(name) is not None


def live_url_problem(url: str) -> str | None:
    """Return what is wrong with a live source's URL, without a part of it; None if nothing is."""
    if url.lower().startswith(CAMERA):
        if url.startswith(CAMERA) and is_camera_name(url.removeprefix(CAMERA)):
            return None
        return "must be camera: and a name of 1 to 63 lower-case letters, digits, - and _"
    if len(url) > MAX_RTSP_CHARS:
        return f"is longer than {MAX_RTSP_CHARS} characters"
    character = _unencoded(url)
    if character is not None:
        return f"a {character} in a user name or password must be written as {_ENCODED[character]}"
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError:
        return "is not a URL"
    if not host:
        return "names no host"
    if not unquote(f"{parts.username}{parts.password}").isprintable():
        return "a user name and a password may hold printable characters only"
    problem = _rtmp_problem(parts)
    if problem is not None:
        return problem
    return None if host.isascii() else "the host must be written in ASCII"


def _rtmp_problem(parts: SplitResult) -> str | None:
    if parts.scheme not in {"rtmp", "rtmps"}:
        return None
    if parts.username is not None:
        return "rtmp has no login: a token belongs in the stream's name or query"
    if "/" not in parts.path.strip("/"):
        return "must name an application and a stream: rtmp://host/application/stream"
    return None


def _unencoded(url: str) -> str | None:
    """Return the character by which user information ends the host's part too early, if any does.

    An `@` after the host's part is taken for the end of user information only if that part is no
    host and port.
    """
    after = url.partition("://")[2]
    ends = re.search(r"[/?#]", after)
    authority, rest = (
        (after, "") if ends is None else (after[: ends.start()], after[ends.start() :])
    )
    if authority.count("@") > 1:
        return "@"
    port = authority.rpartition(":")[2] if ":" in authority else "0"
    if "@" in rest and "@" not in authority and not (port.isdecimal() or port.endswith("]")):
        return rest[0]
    return None
