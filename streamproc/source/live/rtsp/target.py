"""URLs of RTSP requests that come from a server: its `Content-Base`, the controls of its tracks."""

from typing import Final
from urllib.parse import quote, urljoin, urlsplit

from streamproc.source.live.rtsp.url import MAX_CHARACTERS, SCHEMES

_SAFE: Final = "".join(chr(code) for code in range(0x21, 0x7F) if chr(code) not in '"<>\\^`{|}')


def resolved(base: str, control: str) -> str:
    """Return the absolute URL of a control: what is relative is appended to the base.

    RFC 2326 would replace the last part of the base; servers and clients append. Characters that
    could end a request line or a quoted text are percent-encoded, and user information is left out.
    An overlong or invalid control gives the base.
    """
    control = quote(control.strip(), safe=_SAFE)
    if not control or len(control) > MAX_CHARACTERS:
        return base
    try:
        parts = urlsplit(control)
        if parts.scheme.lower() in SCHEMES and parts.hostname:
            return parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()
        if control.startswith("/"):
            return urljoin(base.replace("rtsp", "http", 1), control).replace("http", "rtsp", 1)
    except ValueError:
        return base
    return f"{base}{'' if base.endswith('/') else '/'}{control}"
