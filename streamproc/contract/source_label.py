"""Source labels: a video's masked URL and its short name, as lists show and search them."""

from urllib.parse import unquote, urlsplit

from streamproc.contract.masking import mask_url
from streamproc.contract.task_spec import SourceRef

UPLOAD = "upload"
MAX_URL = 1024
MAX_NAME = 255
_CAMERAS = frozenset(("rtsp", "rtsps", "rtmp", "rtmps"))


def public_url(source: SourceRef) -> str:
    """Return the source's URL without anything that may be secret; `upload` for an upload.

    At most `MAX_URL` characters; the rest of a longer URL is cut off.
    """
    return UPLOAD if source.url is None else mask_url(source.url)[:MAX_URL]


def short_name(url: str) -> str:
    """Return the file name in a URL, decoded, else the URL's host, else the URL itself.

    Of a camera's URL it is host and path: the last part is the same for many cameras. At most
    `MAX_NAME` characters. User information of the host is left out.
    """
    try:
        parts = urlsplit(url)
    except ValueError:
        return url[:MAX_NAME]
    if parts.scheme in _CAMERAS and parts.netloc:
        return f"{parts.netloc.rpartition('@')[2]}{unquote(parts.path)}".rstrip("/")[:MAX_NAME]
    name = unquote(parts.path.rstrip("/").rpartition("/")[2])
    return (name or parts.netloc.rpartition("@")[2] or url)[:MAX_NAME]
