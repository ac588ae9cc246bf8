"""Errors of a task's processing.

StreamprocError
├── TaskFailedError        the task ends as failed, with a stable code and a message
├── LogUnavailableError    Kafka did not accept a record: stop, claim again, fold again
├── TaskStateLostError      another worker has claimed the task, or its log has a gap
└── UnforeseenError        anything else: the slice is retried, a few times
"""


class StreamprocError(Exception):
    """Base class of the errors that the worker raises on purpose."""


class TaskFailedError(StreamprocError):
    """A task cannot continue. The message holds no URLs and no credentials."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


class LogUnavailableError(StreamprocError):
    """Kafka did not acknowledge a record: records sent after it must not count."""


class TaskStateLostError(StreamprocError):
    """The slice must stop: another worker writes this task's log now."""


class UnforeseenError(StreamprocError):
    """An unexpected failure: a bug, of ours or of a library.

    The message gives only the exception's type: its text may hold anything, even an address or a
    key.
    """

    def __init__(self, cause: BaseException) -> None:
        super().__init__(f"unexpected {type(cause).__name__}")
        self.__cause__ = cause


class BrokerError(Exception):
    """Base class of errors in Kafka's set-up."""


class TopicPolicyError(BrokerError):
    """A topic's partitions or policies differ from what Framewire needs."""


class SinkError(StreamprocError):
    """Base class of the errors that archive, index, reindex and verify raise on purpose."""


class StoreUnavailableError(SinkError):
    """S3 is unavailable, busy or refuses: nothing was lost, the request may be retried."""


class ObjectRefusedError(StoreUnavailableError):
    """S3 rejects the request as invalid; the caller finds out whether the object is the cause."""


class UploadsUnavailableError(StreamprocError):
    """S3 does not answer, or its answer is unusable."""
