"""Video argument of a command: a URL, a file below an allowed root, or a file to upload."""

import base64
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from console.errors import RequestWordsError

MAX_UPLOAD_BYTES = 64 * 1024 * 1024  # the api's own limit by default
_SCHEMES = {"http", "https", "file", "rtsp", "rtsps", "rtmp", "rtmps", "camera"}


def video_input(word: str, file_roots: Iterable[Path]) -> dict[str, Any]:
    """Return the request's input for a URL or a path.

    A file below one of `file_roots` is sent as a file:// URL; another file is read and sent as
    base64. Raises `RequestWordsError` if `word` is neither, or the file is unreadable or too large.
    """
    if is_url(word):
        return {"type": "video_url", "url": word}
    path = local_file(word)
    if path is None:
        raise RequestWordsError(f"{word}: {_not_a_file(word)}")
    if any(path.is_relative_to(root) for root in file_roots):
        return {"type": "video_url", "url": path.as_uri()}
    try:
        size_bytes = path.stat().st_size
        data = path.read_bytes() if size_bytes <= MAX_UPLOAD_BYTES else b""
    except OSError as exc:
        raise RequestWordsError(f"{word} cannot be read: {exc.strerror}") from exc
    if size_bytes > MAX_UPLOAD_BYTES:
        raise RequestWordsError(
            f"{word} has {size_bytes / 2**20:.0f} MiB and at most "
            f"{MAX_UPLOAD_BYTES // 2**20} MiB can be sent with a request: give a URL, or start the "
            f"stack with --file-root {path.parent}"
        )
    return {"type": "video_base64", "data": base64.b64encode(data).decode()}


def is_url(word: str) -> bool:
    """Whether the word is a URL of a scheme that the api may support; never raises."""
    return word.partition(":")[0].strip().lower() in _SCHEMES


def local_file(word: str) -> Path | None:
    """Return the absolute path of the local file that the word names; None for anything else."""
    path = typed_path(word)
    try:
        return path.resolve() if path.is_file() else None
    except (OSError, RuntimeError, ValueError):  # too long, a symlink loop, a null byte
        return None


def typed_path(text: str) -> Path:
    """Return the path that the user typed, with `~` expanded if that home exists."""
    path = Path(text)
    try:
        return path.expanduser()
    except RuntimeError:
        return path


def _not_a_file(word: str) -> str:
    try:
        path = typed_path(word)
        if path.is_dir():
            return "is a directory, not a video"
        if path.exists():
            return "is not a regular file"
    except (OSError, ValueError):  # too long, a null byte
        pass
    return "no such file, and no http, https, file, rtsp, rtmp or camera URL"
