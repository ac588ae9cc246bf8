"""Strict JSON validation of request bodies: errors name the path of the wrong field.

Paths have the form that a client would write: `input[0].sampling.value`.
"""

import re
from typing import Any, TypeVar

import msgspec
from msgspec import inspect

from api.errors import BadRequestError, InvalidRequestError

T = TypeVar("T")
NOT_PRINTABLE = "must contain only printable characters"

_AT = re.compile(r"^(?P<what>.*?)(?: - at `\$(?P<path>.*)`)?$", re.DOTALL)
_UNKNOWN = re.compile(r"^Object contains unknown field `(?P<name>.*)`$", re.DOTALL)
_MISSING = re.compile(r"^Object missing required field `(?P<name>.*)`$", re.DOTALL)
_INVALID = re.compile(r"^Invalid (?:enum )?value (?P<value>.*)$", re.DOTALL)
_NO_JSON = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
_EXPLAINED_BYTES = 64 * 1024  # for a larger body the error does not list the known fields
_MAX_NAME_CHARS = 128
_STEP = re.compile(r"\[(?P<index>\d+)\]|\.?(?P<name>[^.\[\]]+)")


def read_json(body: bytes | bytearray, into: type[T]) -> T:
    """Parse `body` as a request struct.

    It is decoded directly into its type, so no objects are created that the type does not have.

    Raises BadRequestError if it is not JSON, or InvalidRequestError with the field's path.
    """
    try:
        return msgspec.json.decode(body, type=into)
    except msgspec.ValidationError as exc:
        raise _explain(str(exc), _explained(body), into) from exc
    except _NO_JSON as exc:
        raise _no_json() from exc


def check_printable(field: str, text: str) -> None:
    """Raise InvalidRequestError on characters that control a terminal: controls, bidi marks."""
    if not text.isprintable():
        raise InvalidRequestError.at(field, NOT_PRINTABLE)


def read_tree(body: bytes | bytearray) -> Any:
    """Return the JSON value of a body that `read_json` has accepted."""
    return msgspec.json.decode(body)


def _explained(body: bytes | bytearray) -> Any:
    """Return the JSON value that failed validation; None if it is too large for an explanation.

    Raises BadRequestError if it is not JSON: a wrong type may come before a syntax error, and then
    the syntax error is what has to be reported.
    """
    small = len(body) <= _EXPLAINED_BYTES
    try:
        value = msgspec.json.decode(body, type=Any if small else msgspec.Raw)
    except _NO_JSON as exc:
        raise _no_json() from exc
    return value if small else None


def _no_json() -> BadRequestError:
    return BadRequestError("The body is not JSON.", code="invalid_json")


def _explain(text: str, value: Any, into: type) -> InvalidRequestError:
    match = _AT.match(text)
    what, path = (match["what"], match["path"] or "") if match else (text, "")
    path = path.removeprefix(".")
    if unknown := _UNKNOWN.match(what):
        known = ", ".join(_fields(into, value, path)) or "none"
        return InvalidRequestError.at(
            _join(path, _shown(unknown["name"])), f"unknown field; there are: {known}"
        )
    if missing := _MISSING.match(what):
        return InvalidRequestError.at(_join(path, missing["name"]), "is required")
    if invalid := _INVALID.match(what):
        choices = ", ".join(_choices(into, value, path))
        return InvalidRequestError.at(path, f"{_shown(invalid['value'])} is none of: {choices}")
    return InvalidRequestError.at(path, _plain(what))


def _plain(what: str) -> str:
    return (
        what.replace("Expected ", "must be ", 1)
        .replace("`", "")
        .replace("must be array of length <= 1", "must hold exactly one element")
        .replace("must be array of length >= 1", "must not be empty")
        .replace("must be str of length >= 1", "must not be empty")
    )


def _shown(name: str) -> str:
    """Return client text for an error message: shortened, without control characters."""
    cut = name if len(name) <= _MAX_NAME_CHARS else f"{name[:_MAX_NAME_CHARS]}…"
    return "".join(c if c.isprintable() else "\ufffd" for c in cut)


def _join(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name


def _fields(into: type, value: Any, path: str) -> list[str]:
    """Return the field names that the object at `path` may have."""
    at, found = _walk(into, value, path)
    struct = _struct(at, found)
    if struct is None:
        return []
    tag = [struct.tag_field] if struct.tag_field else []
    return [*tag, *(field.encode_name for field in struct.fields)]


def _choices(into: type, value: Any, path: str) -> list[str]:
    at, _ = _walk(into, value, path)
    if isinstance(at, inspect.LiteralType):
        return [str(choice) for choice in at.values]
    return [str(struct.tag) for struct in _structs(at)]


def _walk(into: type, value: Any, path: str) -> tuple[inspect.Type, Any]:
    """Follow `path` through the type and the value; the path of a tag field ends at its union."""
    at: inspect.Type = inspect.type_info(into)
    for step in _STEP.finditer(path):
        at = _bare(at)
        if step["index"] is not None:
            if not isinstance(at, inspect.ListType):
                break
            at = at.item_type
            value = None if value is None else value[int(step["index"])]
            continue
        struct = _struct(at, value)
        field = (
            next((f for f in struct.fields if f.encode_name == step["name"]), None)
            if struct
            else None
        )
        if field is None:
            break
        at, value = field.type, None if value is None else value[step["name"]]
    return _bare(at), value


def _bare(at: inspect.Type) -> inspect.Type:
    """Return the type without its metadata and without None."""
    while isinstance(at, inspect.Metadata):
        at = at.type
    if isinstance(at, inspect.UnionType):
        rest = [kind for kind in at.types if not isinstance(kind, inspect.NoneType)]
        if len(rest) == 1:
            return _bare(rest[0])
    return at


def _structs(at: inspect.Type) -> list[inspect.StructType]:
    kinds = at.types if isinstance(at, inspect.UnionType) else (at,)
    return [kind for kind in kinds if isinstance(kind, inspect.StructType)]


def _struct(at: inspect.Type, value: Any) -> inspect.StructType | None:
    """Return the struct type for `value`: in a tagged union, the one with its tag."""
    structs = _structs(at)
    if len(structs) == 1:
        return structs[0]
    for struct in structs:
        if isinstance(value, dict) and value.get(struct.tag_field) == struct.tag:
            return struct
    return None
