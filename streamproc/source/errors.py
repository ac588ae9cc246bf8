"""Errors of a video source, each with a stable code.

    SourceError
    ├── SourceUnreachableError       source_unreachable        no answer: DNS, refused, reset, TLS
    │   └── SourceBusyError          source_unreachable        a camera with too many connections
    ├── SourceStatusError            source_http_status        HTTP response is not the video
    │   └── ObjectMissingError       source_http_status        not in Framewire's own bucket
    ├── SourceTimeoutError           source_timeout            connect, stall or total time
    ├── SourceRedirectError          source_too_many_redirects
    ├── SourceUnauthorizedError      source_unauthorized       a camera refuses the user or password
    ├── SourceProtocolError          source_protocol           a camera that does not speak RTSP
    ├── SourceLostError              source_lost               a camera away for longer than allowed
    ├── SourceForbiddenError         source_forbidden          address, scheme or folder not allowed
    │   └── SourceUnresolvedError    source_forbidden          a name without an address
    ├── SourceNotVideoError          source_not_video          a page, an image, sound only, text
    ├── SourceUnsupportedError       source_unsupported        container or codec not on the list
    │   └── SourceEncryptedError     source_encrypted          a stream whose key cannot be used
    ├── SourceTooLargeError          source_too_large          the message names the limit
    ├── SourceTruncatedError         source_truncated          raised after the last decoded frame
    ├── SourceChangedError           source_changed            different bytes than at the start
    ├── SourceEmptyError             source_empty              no frame at all
    ├── DecoderCrashedError          decoder_crashed           the sandboxed child died or stalled
    ├── SourceClosedError            source_closed             `close()` was called while iterating
    └── StoreAwayError               store_unavailable         Framewire's own S3; not the video

Messages are safe to show to the client: they name at most a host, never a path, a query or
credentials.
"""

from typing import ClassVar

from streamproc.contract.preview import STORE_UNAVAILABLE


class SourceError(Exception):
    """Base of all errors that `streamproc.source` raises on purpose."""

    code: ClassVar[str] = "source_error"


class SourceUnreachableError(SourceError):
    code = "source_unreachable"


class SourceBusyError(SourceUnreachableError):
    """The camera has as many connections as it takes."""


class SourceStatusError(SourceError):
    """`status`: of the response, None if it was not the reason.

    `challenges`: its `WWW-Authenticate` headers.
    """

    code = "source_http_status"

    def __init__(
        self, message: str, status: int | None = None, challenges: tuple[str, ...] = ()
    ) -> None:
        super().__init__(message)
        self.status, self.challenges = status, challenges


class ObjectMissingError(SourceStatusError):
    """Framewire's own store answered that there is no such object."""


class SourceTimeoutError(SourceError):
    code = "source_timeout"


class SourceRedirectError(SourceError):
    code = "source_too_many_redirects"


class SourceUnauthorizedError(SourceError):
    code = "source_unauthorized"


class SourceProtocolError(SourceError):
    code = "source_protocol"


class SourceLostError(SourceError):
    code = "source_lost"


class SourceForbiddenError(SourceError):
    code = "source_forbidden"


class SourceUnresolvedError(SourceForbiddenError):
    """The host has no address now. Clients cannot tell it from one that is forbidden."""


class SourceNotVideoError(SourceError):
    code = "source_not_video"


class SourceUnsupportedError(SourceError):
    code = "source_unsupported"


class SourceEncryptedError(SourceUnsupportedError):
    code = "source_encrypted"


class SourceTooLargeError(SourceError):
    code = "source_too_large"


class SourceTruncatedError(SourceError):
    code = "source_truncated"


class SourceChangedError(SourceError):
    code = "source_changed"


class SourceEmptyError(SourceError):
    code = "source_empty"


class DecoderCrashedError(SourceError):
    code = "decoder_crashed"


class SourceClosedError(SourceError):
    code = "source_closed"


class StoreAwayError(SourceError):
    """Framewire's own store cannot be read now. It does not end a task: the reader waits for it."""

    code = STORE_UNAVAILABLE


BY_CODE: dict[str, type[SourceError]] = {
    leaf.code: leaf
    for leaf in (
        SourceUnreachableError,
        SourceStatusError,
        SourceTimeoutError,
        SourceRedirectError,
        SourceUnauthorizedError,
        SourceProtocolError,
        SourceLostError,
        SourceForbiddenError,
        SourceNotVideoError,
        SourceUnsupportedError,
        SourceTooLargeError,
        SourceTruncatedError,
        SourceChangedError,
        SourceEmptyError,
        DecoderCrashedError,
        SourceClosedError,
    )
}


def from_code(code: str, message: str) -> SourceError:
    """Recreate an error from another process; an unknown code gives `DecoderCrashedError`."""
    return BY_CODE.get(code, DecoderCrashedError)(message)


class StreamEnd(Exception):  # noqa: N818 - an event, no error
    """A live source has ended as it should: a playlist that is complete, for example."""
