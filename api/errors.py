"""The api's exceptions, and the function that maps any exception to an HTTP response.

ProblemError                    status, code, title, detail: RFC 9457
├── BadRequestError             400 bad_request: the request cannot be parsed
├── UnauthorizedError           401 unauthorized: no key, or an unknown one
├── ForbiddenError              403 forbidden: the key is known but has too few rights
│   └── MissingScopeError       403 missing_scope: names the scope
├── NotFoundError               404 not_found: unknown, or of another project: it does not say which
├── ConflictError               409 conflict
├── OffsetExpiredError          410 offset_expired: names the first byte that is kept
├── TooLargeError               413 too_large: names the limit
├── OffsetRangeError            416 offset_out_of_range
├── InvalidRequestError         422 invalid_request: `errors` holds every field's path and message
└── UnavailableError            503 unavailable: Retry-After; nothing was lost

`code` is stable: clients may switch on it. `title` belongs to the code; `detail` is for people.
For an unexpected failure a problem only says that it happened, never what it was.
"""

from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any, TypedDict

import msgspec
import structlog
from litestar import Request, Response
from litestar.exceptions import HTTPException, ValidationException

PROBLEM_JSON = "application/problem+json"

_CODES: dict[int, str] = {
    400: "bad_request",
    401: "unauthorized",
    403: "forbidden",
    404: "not_found",
    405: "method_not_allowed",
    406: "not_acceptable",
    409: "conflict",
    410: "gone",
    413: "too_large",
    415: "unsupported_media_type",
    416: "offset_out_of_range",
    422: "invalid_request",
    429: "too_many_requests",
    503: "unavailable",
}

_log = structlog.get_logger("framewire.api")


class FieldError(TypedDict):
    """One wrong field: `field` is its path in the body or query, such as `input[0].range.end`."""

    field: str
    message: str


class ProblemError(Exception):
    """Base of the errors that a client sees. `extra` holds further members of the JSON body."""

    status: int = 500
    code: str = "internal_error"
    title: str = "Internal Server Error"

    def __init__(
        self,
        detail: str = "",
        *,
        status: int | None = None,
        code: str | None = None,
        title: str | None = None,
        extra: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(detail)
        self.status = status or self.status
        self.code = code or self.code
        self.title = title or self.title
        self.detail = detail
        self.extra = dict(extra or {})
        self.headers = dict(headers or {})

    def body(self) -> dict[str, Any]:
        """Return the members of the problem's JSON body, in a fixed order."""
        return {
            "type": "about:blank",
            "title": self.title,
            "status": self.status,
            "code": self.code,
            "detail": self.detail,
            **self.extra,
        }


class BadRequestError(ProblemError):
    status = 400
    code = "bad_request"
    title = "Bad Request"


class UnauthorizedError(ProblemError):
    status = 401
    code = "unauthorized"
    title = "Unauthorized"

    def __init__(self, detail: str = "A valid key is needed: Authorization: Bearer fw_…") -> None:
        super().__init__(detail, headers={"WWW-Authenticate": 'Bearer realm="framewire"'})


class ForbiddenError(ProblemError):
    status = 403
    code = "forbidden"
    title = "Forbidden"


class MissingScopeError(ForbiddenError):
    """The key has not enough rights; `missing_scope` names the scope that it lacks."""

    code = "missing_scope"

    def __init__(self, scope: str) -> None:
        super().__init__(
            f"This needs a key with the scope {scope}.", extra={"missing_scope": scope}
        )


class NotFoundError(ProblemError):
    """No such object. The bytes are the same for an unknown id and another project's id.

    So never put the id into `detail`.
    """

    status = 404
    code = "not_found"
    title = "Not Found"

    def __init__(self, detail: str = "There is no such task.", **rest: Any) -> None:
        super().__init__(detail, **rest)


class ConflictError(ProblemError):
    status = 409
    code = "conflict"
    title = "Conflict"


class OffsetExpiredError(ProblemError):
    """The log's bytes before `start` were deleted by age; offsets stay as they are."""

    status = 410
    code = "offset_expired"
    title = "Gone"

    def __init__(self, start: int) -> None:
        super().__init__(
            f"The log's bytes before {start} have expired: read on from there.",
            extra={"start": start},
            headers={"Stream-First-Offset": str(start)},
        )
        self.start = start


class TooLargeError(ProblemError):
    status = 413
    code = "too_large"
    title = "Content Too Large"


class OffsetRangeError(ProblemError):
    status = 416
    code = "offset_out_of_range"
    title = "Range Not Satisfiable"


class InvalidRequestError(ProblemError):
    status = 422
    code = "invalid_request"
    title = "Unprocessable Content"

    def __init__(self, errors: Sequence[FieldError]) -> None:
        first = errors[0]
        more = f" (and {len(errors) - 1} more)" if len(errors) > 1 else ""
        where = f"{first['field']}: " if first["field"] else ""
        super().__init__(f"{where}{first['message']}{more}", extra={"errors": list(errors)})
        self.errors = list(errors)

    @classmethod
    def at(cls, field: str, message: str) -> "InvalidRequestError":
        return cls([FieldError(field=field, message=message)])


class UnavailableError(ProblemError):
    """A dependency is temporarily unavailable; `retry_after_s` is in whole seconds."""

    status = 503
    code = "unavailable"
    title = "Service Unavailable"

    def __init__(self, detail: str, *, retry_after_s: int = 2, code: str | None = None) -> None:
        super().__init__(detail, code=code, headers={"Retry-After": str(retry_after_s)})


def to_problem(error: Exception) -> ProblemError:
    """Return the problem that a client sees for `error`.

    An exception of any other type becomes `internal_error`, without a description of its cause.
    """
    if isinstance(error, ProblemError):
        return error
    if isinstance(error, ValidationException):
        return _from_validation(error)
    if isinstance(error, HTTPException):
        return _from_http(error)
    return ProblemError("The server failed to answer this request. The failure was logged.")


def problem_response(request: Request[Any, Any, Any], error: Exception) -> Response[bytes]:
    """Litestar exception handler for all exceptions; it logs the unexpected ones."""
    problem = to_problem(error)
    if problem.status >= 500 and not isinstance(error, ProblemError):
        _log.error("request failed", method=request.method, path=_route(request), exc_info=error)
    return Response(
        content=msgspec.json.encode(problem.body()),
        status_code=problem.status,
        headers=problem.headers,
        media_type=PROBLEM_JSON,
    )


def _from_validation(error: ValidationException) -> ProblemError:
    errors: list[FieldError] = []
    extra = error.extra if isinstance(error.extra, list) else []
    errors.extend(
        FieldError(field=str(item.get("key", "")), message=str(item.get("message", "")))
        for item in extra
        if isinstance(item, dict)
    )
    if errors:
        return InvalidRequestError(errors)
    return BadRequestError("The request could not be read.")


def _from_http(error: HTTPException) -> ProblemError:
    status = error.status_code
    if status >= 500 and status != HTTPStatus.SERVICE_UNAVAILABLE:
        return ProblemError("The server failed to answer this request. The failure was logged.")
    phrase = HTTPStatus(status).phrase
    detail = {
        404: "There is nothing at this path.",
        405: "This path does not support this method.",
    }.get(status, str(error.detail) or phrase)
    return ProblemError(
        detail,
        status=status,
        code=_CODES.get(status, "request_refused"),
        title=phrase,
        headers=dict(error.headers or {}),
    )


def _route(request: Request[Any, Any, Any]) -> str:
    """Return the route's template for the log: paths hold ids, and a query may hold a token."""
    template = request.scope.get("path_template")
    return str(template) if template else "-"
