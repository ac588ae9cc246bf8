"""Request bodies, read within the limits of their endpoint and one memory budget per process."""

from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from typing import Any

from litestar import Request

from api.errors import ProblemError, UnavailableError
from api.http.upload_body import MAX_JSON_BYTES, BodyReader, body_too_large
from api.server.budget import SMALL_BYTES, ByteBudget
from api.settings import Settings

SMALL_BODY_BYTES = 64 * 1024
"""Size limit of the bodies of all endpoints except the submission of tasks."""
RETRY_AFTER_S = 5

AnyRequest = Request[Any, Any, Any]


class ClientGoneError(ProblemError):
    """The client disconnected before its request was complete; it never sees this response."""

    status = 499
    code = "client_gone"
    title = "Client Closed Request"


class Lease:
    """The bytes of the memory budget that one request holds."""

    def __init__(self, budget: ByteBudget, project: str) -> None:
        self._budget = budget
        self._project = project
        self._held_bytes = 0

    def expect(self, n_bytes: int) -> None:
        """Raise ProblemError (429 or 503) unless a body of `n_bytes` fits into the budget now."""
        self._look(n_bytes)

    def hold(self, n_bytes: int) -> None:
        """Hold `n_bytes` in total; raises ProblemError (429 or 503) if they do not fit."""
        if n_bytes > self._held_bytes:
            self._look(n_bytes)
        self._budget.take(n_bytes - self._held_bytes, self._project)
        self._held_bytes = n_bytes

    def _look(self, n_bytes: int) -> None:
        more_bytes = n_bytes - self._held_bytes
        if not self._budget.fits_share(self._project, more_bytes):
            raise ProblemError(
                f"The project's requests hold {self._budget.share_bytes} bytes already, "
                "the most that one project may: send this one when another has its answer.",
                status=429,
                code="too_many_uploads",
                title="Too Many Requests",
                extra={"limit_bytes": self._budget.share_bytes},
                headers={"Retry-After": str(RETRY_AFTER_S)},
            )
        if not self._budget.fits(more_bytes, large=n_bytes > SMALL_BYTES):
            raise UnavailableError(
                "The server's memory budget for request bodies is used up.",
                retry_after_s=RETRY_AFTER_S,
                code="uploads_busy",
            )


class Bodies:
    """Reads the request bodies of one process, within one memory budget."""

    def __init__(self, settings: Settings) -> None:
        self._max_body_bytes = settings.max_body_bytes
        self._max_upload_bytes = settings.max_upload_bytes
        # Half of the budget, but never less than one upload of full size and its JSON.
        share_bytes = max(
            settings.body_budget_bytes // 2, settings.max_upload_bytes + MAX_JSON_BYTES
        )
        self.budget = ByteBudget(settings.body_budget_bytes, share_bytes)

    @contextmanager
    def lease(self, project: str) -> Iterator[Lease]:
        """Return a lease on the budget; the end of the block gives its bytes back."""
        lease = Lease(self.budget, project)
        try:
            yield lease
        finally:
            lease.hold(0)

    async def read_submission(self, request: AnyRequest, lease: Lease) -> BodyReader:
        """Read the body of a submission and decode its video.

        Decoding runs on the event loop, piece by piece as the body arrives: a piece takes about a
        millisecond.

        Raises TooLargeError, ClientGoneError, and ProblemError if the budget has no room.
        """
        declared_bytes = declared(request, self._max_body_bytes)
        lease.expect(min(declared_bytes // 4 * 3, self._max_upload_bytes))
        reader = BodyReader(
            max_body_bytes=self._max_body_bytes, max_upload_bytes=self._max_upload_bytes
        )
        async for piece in pieces(request):
            reader.feed(piece)
            lease.hold(reader.held_bytes)
        reader.finish()
        return reader


async def read_small(request: AnyRequest, max_bytes: int = SMALL_BODY_BYTES) -> bytes:
    """Return a body; raises ClientGoneError, and TooLargeError above `max_bytes`."""
    declared(request, max_bytes)
    body = bytearray()
    async for piece in pieces(request):
        body += piece
        if len(body) > max_bytes:
            raise body_too_large(max_bytes)
    return bytes(body)


def declared(request: AnyRequest, max_bytes: int) -> int:
    """Return the Content-Length, 0 if absent; raises TooLargeError before a byte is read."""
    text = request.headers.get("content-length", "0")
    # A longer number is above every limit, and Python refuses to convert very long ones.
    n_bytes = int(text) if text.isdecimal() and len(text) < 19 else max_bytes + 1
    if n_bytes > max_bytes:
        raise body_too_large(max_bytes)
    return n_bytes


async def pieces(request: AnyRequest) -> AsyncIterator[bytes]:
    """Yield a body's bytes as they arrive; raises ClientGoneError if the client disconnects."""
    while True:
        event: Any = await request.receive()
        if event["type"] == "http.disconnect":
            raise ClientGoneError
        if event["body"]:
            yield event["body"]
        if not event.get("more_body", False):
            return
