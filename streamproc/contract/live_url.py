"""URLs of live sources: `rtsp://…`, `rtsps://…`, and `camera:NAME`, a name that workers know."""

import re
from typing import Final

CAMERA: Final = "camera:"
_SCHEMES: Final = frozenset(("rtsp", "rtsps", "camera"))
_NAME: Final = re.compile(r"[a-z0-9][a-z0-9_-]{0,62}")


def is_live(url: str) -> bool:
    """Return whether the URL is that of a live source, by its scheme alone."""
    return url.partition(":")[0].lower() in _SCHEMES


def is_camera_name(name: str) -> bool:
    """Return whether a source may have this name: 1 to 63 letters, digits, `-` and `_`."""
    return _NAME.fullmatch(name) is not None
