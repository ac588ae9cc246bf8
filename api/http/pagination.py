"""Cursor pagination (keyset): an opaque cursor is base64url of msgpack.

A cursor names the last row of a page, never a count, so rows that are inserted meanwhile do not
shift the next page.
"""

import base64
import binascii
from collections.abc import Callable
from functools import cache
from typing import Annotated, TypeVar

import msgspec
from msgspec import Meta

from api.errors import BadRequestError
from streamproc.contract.bounds import TrackId
from streamproc.contract.decoding import Data, msgpack_decoder

T = TypeVar("T", bound=msgspec.Struct)
CreatedMs = Annotated[int, Meta(ge=0, lt=2**48)]  # 48 bits, as in a task id
TaskId = Annotated[str, Meta(max_length=64)]


class TaskCursor(msgspec.Struct, frozen=True, array_like=True, tag="t"):
    """The last task of a page: creation time (Unix milliseconds) and id."""

    created_ms: CreatedMs
    task_id: TaskId


class SortedTaskCursor(msgspec.Struct, frozen=True, array_like=True, tag="s"):
    """The last task of a page in another order than the newest first.

    `sort` is the order's name, `value` the task's sort key, and `as_of_ms` the moment of the first
    page: ages and speeds are of that moment on all pages.
    """

    sort: Annotated[str, Meta(max_length=16)]
    value: Annotated[int, Meta(ge=-1, le=2**63 - 1)] | Annotated[str, Meta(max_length=1024)]
    created_ms: CreatedMs
    task_id: TaskId
    as_of_ms: CreatedMs


class TrackCursor(msgspec.Struct, frozen=True, array_like=True, tag="k"):
    """The last track of a page; `order` is its distance with `similar_to`, else 0."""

    order: float
    created_ms: CreatedMs
    task_id: TaskId
    track_id: TrackId


class AuditCursor(msgspec.Struct, frozen=True, array_like=True, tag="a"):
    """The last audit record of a page: time (Unix milliseconds) and id."""

    at_ms: int
    id: str


class UsageCursor(msgspec.Struct, frozen=True, array_like=True, tag="u"):
    """The last row of a page: a UTC day and a project."""

    day: Annotated[str, Meta(max_length=10)]
    project: Annotated[str, Meta(max_length=64)]


def encode_cursor(cursor: msgspec.Struct) -> str:
    return base64.urlsafe_b64encode(msgspec.msgpack.encode(cursor)).rstrip(b"=").decode()


def decode_cursor(text: str, into: type[T]) -> T:
    """Decode a cursor; raises BadRequestError unless `encode_cursor` wrote it for this list."""
    try:
        data = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
        cursor: T = _decoder(into)(data)
    except (binascii.Error, ValueError, msgspec.MsgspecError) as exc:
        raise BadRequestError("This cursor is not valid for this list.", code="bad_cursor") from exc
    if encode_cursor(cursor) != text:
        raise BadRequestError("This cursor is not valid for this list.", code="bad_cursor")
    return cursor


@cache
def _decoder(into: type[T]) -> Callable[[Data], T]:
    return msgpack_decoder(into)
