"""Errors of a task's processing.

StreamprocError
├── TaskFailedError        the task ends as failed, with this stable code and message
├── LogUnavailableError    Kafka did not take a record: stop, claim again, fold again
├── TaskStateLostError      another worker has claimed the task, or its log has a gap
└── UnforeseenError        anything else: the slice is tried again, a few times
"""


class StreamprocError(Exception):
    """Base of what the worker raises on purpose."""


class TaskFailedError(StreamprocError):
    """A task cannot go on. The message is free of URLs and credentials."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


class LogUnavailableError(StreamprocError):
    """A record was not acknowledged: what was sent after it must not count."""


class TaskStateLostError(StreamprocError):
    """The slice must not go on: somebody else writes this task's log now."""


class UnforeseenError(StreamprocError):
    """Something failed in a way that nobody foresaw: a bug, of ours or of a library.

    The message names the kind alone: what it says may hold anything, an address or a key too.
    """

    def __init__(self, cause: BaseException) -> None:
        super().__init__(f"unexpected {type(cause).__name__}")
        self.__cause__ = cause


class BrokerError(Exception):
    """Base of everything that goes wrong with Kafka's set-up."""


class TopicPolicyError(BrokerError):
    """A topic's partitions or policies differ from what Framewire needs."""


class SinkError(StreamprocError):
    """Base of what archive, index, reindex and verify raise on purpose."""


class StoreUnavailableError(SinkError):
    """S3 is away, busy or refuses: nothing was lost, the same request may be sent again."""


class ObjectRefusedError(StoreUnavailableError):
    """S3 has answered that the request is wrong: whether it is the object's fault, others tell."""


class UploadsUnavailableError(StreamprocError):
    """S3 does not answer, or not as it should."""
