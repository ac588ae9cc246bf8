"""What a command line calls a video: a URL, a file below an allowed root, or a file to upload."""

import base64
from collections.abc import Iterable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from console.request import RequestWordsError

MAX_UPLOAD_BYTES = 64 * 1024 * 1024  # the api's own limit by default
_SCHEMES = {"http", "https", "file", "rtsp", "rtsps"}


def video_input(word: str, file_roots: Iterable[Path]) -> dict[str, Any]:
    """Return the request's input for a URL or a path.

    A file below one of `file_roots` is named by a file:// URL, any other is read and sent as
    base64. Raises `RequestWordsError` when it is neither, or too large to be sent.
    """
    if urlsplit(word).scheme.lower() in _SCHEMES:
        return {"type": "video_url", "url": word}
    path = Path(word).expanduser()
    if not path.is_file():
        raise RequestWordsError(f"{word}: no such file, and no http, https or file URL")
    path = path.resolve()
    if any(path.is_relative_to(root) for root in file_roots):
        return {"type": "video_url", "url": path.as_uri()}
    size_bytes = path.stat().st_size
    if size_bytes > MAX_UPLOAD_BYTES:
        raise RequestWordsError(
            f"{word} has {size_bytes / 2**20:.0f} MiB and at most "
            f"{MAX_UPLOAD_BYTES // 2**20} MiB can be sent with a request: give a URL, or start the "
            f"stack with --file-root {path.parent}"
        )
    return {"type": "video_base64", "data": base64.b64encode(path.read_bytes()).decode()}
