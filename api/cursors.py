"""Opaque cursors: where the next page goes on, as base64url of msgpack.

A cursor names the last row that was given, never a count, so rows that are inserted meanwhile
move nothing.
"""

import base64
import binascii
from typing import TypeVar

import msgspec

from api.errors import BadRequestError

T = TypeVar("T", bound=msgspec.Struct)


class TaskCursor(msgspec.Struct, frozen=True, array_like=True, tag="t"):
    """The last task given: creation time, Unix milliseconds, and id."""

    created_ms: int
    task_id: str


class TrackCursor(msgspec.Struct, frozen=True, array_like=True, tag="k"):
    """The last track given; `order` is its distance with `similar_to`, else 0."""

    order: float
    created_ms: int
    task_id: str
    track_id: int


class AuditCursor(msgspec.Struct, frozen=True, array_like=True, tag="a"):
    """The last audit record given: its time, Unix milliseconds, and id."""

    at_ms: int
    id: str


def encode_cursor(cursor: msgspec.Struct) -> str:
    return base64.urlsafe_b64encode(msgspec.msgpack.encode(cursor)).rstrip(b"=").decode()


def decode_cursor(text: str, into: type[T]) -> T:
    """Raises BadRequestError on anything that `encode_cursor` did not write for this list."""
    try:
        data = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
        cursor = msgspec.msgpack.decode(data, type=into)
    except (binascii.Error, ValueError, msgspec.MsgspecError) as exc:
        raise BadRequestError("This cursor was not given by this list.", code="bad_cursor") from exc
    if encode_cursor(cursor) != text:
        raise BadRequestError("This cursor was not given by this list.", code="bad_cursor")
    return cursor
