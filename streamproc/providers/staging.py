"""A source that cannot be read from its middle, kept in S3 for whoever goes on with the task.

A server without ranged requests gives a video from its first byte alone. Once the whole body has
arrived it is stored under the task's own key, with the pin of the original as metadata: another
worker that has to seek reads it there, and asks the origin for nothing.
"""

import threading
from typing import BinaryIO, Protocol

import structlog

from streamproc.errors import UploadsUnavailableError
from streamproc.source.errors import SourceError
from streamproc.source.frame_source import FrameSource

_log = structlog.get_logger()


class Uploads(Protocol):
    """Where staged inputs and sources lie, and the sealed URLs of sources."""

    def url(self, object_key: str) -> str:
        """Return a short-lived URL of the object."""

    @property
    def host(self) -> str | None:
        """host:port of the store, exempt from the guard against private addresses."""

    def probe(self, object_key: str) -> None:
        """Return soon when S3 answers for the object, be it that there is none.

        Raises `UploadsUnavailableError`.
        """

    def stage(self, object_key: str, file: BinaryIO, pin: str) -> None:
        """Store the file unless the key is taken. Raises `UploadsUnavailableError`."""

    def sealed(self, object_key: str) -> bytes | None:
        """Return a source's sealed URL, None for none. Raises `UploadsUnavailableError`."""

    def staged_pin(self, object_key: str) -> str | None:
        """Return the pin of the source that was staged, None for none.

        Raises `UploadsUnavailableError`.
        """


def is_staged(uploads: Uploads, object_key: str, pin: str) -> bool:
    """Whether the source that `pin` names can be read from S3.

    Raises `UploadsUnavailableError`.
    """
    return uploads.staged_pin(object_key) == pin


def stage_behind(source: FrameSource, uploads: Uploads, object_key: str) -> threading.Thread:
    """Stage a source that is not seekable once it has all arrived, in a thread of its own.

    A source that is closed before, or whose body is short, is not staged; nor one that S3 does
    not take: a worker that takes over then fetches it again.
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
        return  # the task meets it, too, or has ended
    if file is None:
        return
    with file:
        try:
            uploads.stage(object_key, file, source.info.fingerprint)
        except UploadsUnavailableError as exc:
            _log.warning("a source was not staged", reason=str(exc))
