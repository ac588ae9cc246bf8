"""What a failure of a source or a model means for the task."""

from models.errors import ModelError
from streamproc.errors import (
    StreamprocError,
    TaskFailedError,
    UnforeseenError,
    UploadsUnavailableError,
)
from streamproc.source.errors import SourceError, StoreAwayError


def task_failure(exc: BaseException) -> StreamprocError:
    """Return the error that an engine raises for `exc`."""
    if isinstance(exc, TaskFailedError):
        return exc
    if isinstance(exc, StoreAwayError):
        return UploadsUnavailableError(str(exc))
    if isinstance(exc, SourceError):
        return TaskFailedError(exc.code, str(exc))
    if isinstance(exc, ModelError):
        return TaskFailedError("model_failed", "a model could not be run on a frame")
    return UnforeseenError(exc)
