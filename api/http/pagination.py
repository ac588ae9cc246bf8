"""Opaque cursors: where the next page goes on, as base64url of msgpack.

A cursor names the last row that was given, never a count, so rows that are inserted meanwhile
move nothing.
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
CreatedMs = Annotated[int, Meta(ge=0, lt=2**48)]  # what a task id can hold
TaskId = Annotated[str, Meta(max_length=64)]


class TaskCursor(msgspec.Struct, frozen=True, array_like=True, tag="t"):
    """The last task given: creation time, Unix milliseconds, and id."""

    created_ms: CreatedMs
    task_id: TaskId


class TrackCursor(msgspec.Struct, frozen=True, array_like=True, tag="k"):
    """The last track given; `order` is its distance with `similar_to`, else 0."""

    order: float
    created_ms: CreatedMs
    task_id: TaskId
    track_id: TrackId


class AuditCursor(msgspec.Struct, frozen=True, array_like=True, tag="a"):
    """The last audit record given: its time, Unix milliseconds, and id."""

    at_ms: int
    id: str


class UsageCursor(msgspec.Struct, frozen=True, array_like=True, tag="u"):
    """The last day of a project given."""

    day: Annotated[str, Meta(max_length=10)]
    project: Annotated[str, Meta(max_length=64)]


def encode_cursor(cursor: msgspec.Struct) -> str:
    return base64.urlsafe_b64encode(msgspec.msgpack.encode(cursor)).rstrip(b"=").decode()


def decode_cursor(text: str, into: type[T]) -> T:
    """Raises BadRequestError on anything that `encode_cursor` did not write for this list."""
    try:
        data = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
        cursor: T = _decoder(into)(data)
    except (binascii.Error, ValueError, msgspec.MsgspecError) as exc:
        raise BadRequestError("This cursor was not given by this list.", code="bad_cursor") from exc
    if encode_cursor(cursor) != text:
        raise BadRequestError("This cursor was not given by this list.", code="bad_cursor")
    return cursor


@cache
def _decoder(into: type[T]) -> Callable[[Data], T]:
    return msgpack_decoder(into)
