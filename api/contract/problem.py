"""The body of every error response."""

import msgspec
from msgspec import UNSET, UnsetType


class Problem(msgspec.Struct, frozen=True):
    """An error response (RFC 9457). `code` is stable; `errors` lists the wrong fields of a 422."""

    type: str
    title: str
    status: int
    code: str
    detail: str
    errors: list[dict[str, str]] | UnsetType = UNSET
