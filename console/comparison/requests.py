"""What the requests of two tasks have that differs, field by field. Pure."""

from collections.abc import Iterator, Mapping
from typing import Any

import msgspec
from msgspec import UNSET, UnsetType

MAX_CHANGES = 100
_MAX_TEXT = 40
_MAX_DEPTH = 16


class RequestChange(msgspec.Struct, frozen=True):
    """A field with another value in either request; one that a request does not have is unset."""

    field: str
    a: Any | UnsetType = UNSET
    b: Any | UnsetType = UNSET


def request_changes(a: Mapping[str, Any], b: Mapping[str, Any]) -> tuple[RequestChange, ...]:
    """Return the fields that differ, in the order of the first request; `MAX_CHANGES` at most.

    A field is named as in the api's errors: `input[0].sampling.value`. A list of plain values is
    one value.
    """
    found: list[RequestChange] = []
    for change in _changes("", a, b, 0):
        found.append(change)
        if len(found) == MAX_CHANGES:
            break
    return tuple(found)


def value_text(value: Any) -> str:
    """Return the value of a field as a short text; `-` for a field that there is not."""
    if value is UNSET:
        return "-"
    text = value if isinstance(value, str) else msgspec.json.encode(value).decode()
    return text if len(text) <= _MAX_TEXT else f"{text[: _MAX_TEXT - 1]}…"


def _changes(field: str, a: Any, b: Any, depth: int) -> Iterator[RequestChange]:
    if a == b and type(a) is type(b):
        return
    if depth < _MAX_DEPTH and isinstance(a, Mapping) and isinstance(b, Mapping):
        for name in dict.fromkeys((*a, *b)):
            inner = f"{field}.{name}" if field else str(name)
            yield from _changes(inner, a.get(name, UNSET), b.get(name, UNSET), depth + 1)
    elif depth < _MAX_DEPTH and _has_items(a) and _has_items(b):
        for place in range(max(len(a), len(b))):
            ours, theirs = (one[place] if place < len(one) else UNSET for one in (a, b))
            yield from _changes(f"{field}[{place}]", ours, theirs, depth + 1)
    else:
        yield RequestChange(field, a, b)


def _has_items(value: Any) -> bool:
    """Whether it is a list whose items have fields, and not one value."""
    return isinstance(value, list) and any(isinstance(item, Mapping) for item in value)
