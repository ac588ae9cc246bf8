"""Query parameters that list routes share, and their parsing."""

import unicodedata
from collections.abc import Sequence
from typing import Annotated

from litestar.params import QueryParameter

from api.contract.query.parser import MAX_LENGTH, MAX_VALUE_LENGTH, MAX_VALUES, parse
from api.contract.query.terms import Among, Query, QueryError, Vocabulary
from api.errors import InvalidRequestError

MAX_LIMIT = 200
DEFAULT_LIMIT = 50

Limit = Annotated[int, QueryParameter(name="limit", ge=1, le=MAX_LIMIT, required=False)]
Cursor = Annotated[str | None, QueryParameter(name="cursor", required=False)]
From = Annotated[
    str | None,
    QueryParameter(name="from", required=False, description="RFC 3339 or Unix ms, inclusive"),
]
To = Annotated[
    str | None,
    QueryParameter(name="to", required=False, description="RFC 3339 or Unix ms, exclusive"),
]
QueryText = Annotated[
    str | None,
    QueryParameter(
        name="q",
        required=False,
        description=f"A query such as `status:failed age<2h`, at most {MAX_LENGTH} characters",
    ),
]
Include = Annotated[
    list[str] | None,
    QueryParameter(name="include", required=False, description="`counts`: numbers of rows"),
]


def parse_query(text: str | None, vocabulary: Vocabulary) -> Query:
    """Parse the parameter `q`; raises InvalidRequestError that names the term and its position."""
    try:
        return parse(text or "", vocabulary)
    except QueryError as exc:
        raise InvalidRequestError.at("q", str(exc)) from exc


def among(field: str, name: str, values: Sequence[str] | None) -> tuple[Among, ...]:
    """Return the term of a repeatable parameter; raises InvalidRequestError beyond the bounds."""
    if not values:
        return ()
    if len(values) > MAX_VALUES:
        raise InvalidRequestError.at(name, f"can be given at most {MAX_VALUES} times")
    for i, value in enumerate(values):
        if not 0 < len(value) <= MAX_VALUE_LENGTH:
            raise InvalidRequestError.at(
                f"{name}[{i}]", f"must have 1 to {MAX_VALUE_LENGTH} characters"
            )
        if any(unicodedata.category(char) in {"Cc", "Cs"} for char in value):
            raise InvalidRequestError.at(f"{name}[{i}]", "control characters are not allowed")
    return (Among(field, tuple(values)),)


def wants_counts(include: Sequence[str] | None) -> bool:
    """Return whether the counts are wanted; raises InvalidRequestError for another `include`."""
    for value in include or ():
        if value != "counts":
            raise InvalidRequestError.at("include", "there is only: counts")
    return bool(include)
