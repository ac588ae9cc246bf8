"""Staging of a non-seekable source in S3, for the worker that continues the task.

A server without range requests sends a video only from its first byte. Once the whole body has
arrived, it is stored under the task's own key, with the pin of the original as metadata. A later
worker that has to seek reads it there, without a request to the origin.
"""

import threading
from typing import BinaryIO, Protocol

import structlog

from streamproc.errors import UploadsUnavailableError
from streamproc.source.errors import SourceError
from streamproc.source.frame_source import FrameSource

_log = structlog.get_logger()


class Uploads(Protocol):
    """Store of staged inputs and sources, and of the sealed URLs of sources."""

    def url(self, object_key: str) -> str:
        """Return a short-lived URL of the object."""

    @property
    def host(self) -> str | None:
        """host:port of the store, exempt from the guard against private addresses (SSRF guard)."""

    def probe(self, object_key: str) -> None:
        """Return quickly if S3 answers for the object, even if the object does not exist.

        Raises `UploadsUnavailableError`.
        """

    def stage(self, object_key: str, file: BinaryIO, pin: str) -> None:
        """Store the file unless the key exists. Raises `UploadsUnavailableError`."""

    def sealed(self, object_key: str) -> bytes | None:
        """Return a source's sealed URL, None if absent. Raises `UploadsUnavailableError`."""

    def staged_pin(self, object_key: str) -> str | None:
        """Return the pin of the staged source, None if there is none.

        Raises `UploadsUnavailableError`.
        """


def is_staged(uploads: Uploads, object_key: str, pin: str) -> bool:
    """Return whether the source that `pin` names can be read from S3.

    Raises `UploadsUnavailableError`.
    """
    return uploads.staged_pin(object_key) == pin


def stage_behind(source: FrameSource, uploads: Uploads, object_key: str) -> threading.Thread:
    """Stage a non-seekable source in a separate thread, once it has arrived completely.

    A source that is closed before, whose body is incomplete, or that S3 does not accept is not
    staged: then the next worker fetches it again.
    """
    thread = threading.Thread(
        target=_stage, args=(source, uploads, object_key), name="stage", daemon=True
    )
    thread.start()
    return thread


def _stage(source: FrameSource, uploads: Uploads, object_key: str) -> None:
    try:
        file = source.open_spool()
    except (SourceError, OSError):
        return  # the task gets the same error, or has ended
    if file is None:
        return
    with file:
        try:
            uploads.stage(object_key, file, source.info.fingerprint)
        except UploadsUnavailableError as exc:
            _log.warning("a source was not staged", reason=str(exc))
