"""SQL conditions of query terms. All values are bound as parameters by ClickHouse itself.

A list maps its fields to SQL expressions: `texts` to arrays of strings, `numbers` to numbers that
are NULL if unknown. The meaning is that of `api.contract.query`.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec

from api.contract.query.terms import (
    WILDCARD,
    Among,
    Compare,
    Like,
    Query,
    Regex,
    Term,
    Vocabulary,
    Word,
    is_exact,
)
from models.class_names import public_class


class Bindings:
    """Parameters of one statement; `bind` returns the placeholder of a value."""

    def __init__(self, **values: Any) -> None:
        self.values: dict[str, Any] = dict(values)

    def bind(self, value: Any, kind: str) -> str:
        """Add a value; `kind` is its ClickHouse type."""
        name = f"q{len(self.values)}"
        self.values[name] = value
        return f"{{{name}:{kind}}}"


class Expressions(msgspec.Struct, frozen=True):
    """SQL expressions of one list's fields; `words` are the texts in which words are looked for.

    `others` return the condition of a field whose values are in another table.
    """

    vocabulary: Vocabulary
    texts: Mapping[str, str]
    numbers: Mapping[str, str]
    words: str
    others: Mapping[str, Callable[[Sequence[str], Bindings], str]] = {}


def conditions_of(query: Query, fields: Expressions, bindings: Bindings) -> list[str]:
    """Return one condition for each term; `like` is an order and has none."""
    return [
        _condition(term, fields, bindings) for term in query.terms if not isinstance(term, Like)
    ]


def like_pattern(value: str, *, exact: bool) -> str:
    """Return the pattern of LIKE that matches texts as the value does."""
    escaped = "".join(f"\\{char}" if char in "%_\\" else char for char in value)
    if WILDCARD in escaped:
        return escaped.replace(WILDCARD, "%")
    return escaped if exact else f"%{escaped}%"


def texts_match(texts: str, patterns: Sequence[str], bindings: Bindings) -> str:
    """Return the condition that one of the texts, an array, matches one of the patterns."""
    bound = [bindings.bind(pattern, "String") for pattern in patterns]
    each = " OR ".join(f"lowerUTF8(x) LIKE lowerUTF8({one})" for one in bound)
    return f"arrayExists(x -> x != '' AND ({each}), {texts})"


def class_condition(values: Sequence[str], bindings: Bindings) -> str:
    """Return the condition on a track's `class`: `person` also finds `pedestrian`."""
    names = dict.fromkeys(name for v in map(str.lower, values) for name in (v, public_class(v)))
    patterns = [like_pattern(name, exact=True) for name in names]
    return texts_match("[toString(class)]", patterns, bindings)


def _condition(term: Term, fields: Expressions, bindings: Bindings) -> str:
    match term:
        case Word(text, negated):
            word = bindings.bind(text, "String")
            found = (
                f"arrayExists(x -> position(lowerUTF8(x), lowerUTF8({word})) > 0, {fields.words})"
            )
        case Among(field, values, negated) if field in fields.others:
            found = fields.others[field](values, bindings)
        case Among(field, values, negated):
            exact = is_exact(fields.vocabulary, field)
            patterns = [like_pattern(value, exact=exact) for value in values]
            found = texts_match(fields.texts[field], patterns, bindings)
        case Compare(field, op, number, negated):
            bound = bindings.bind(number, "Float64")
            found = f"ifNull(({fields.numbers[field]}) {op} {bound}, false)"
        case Regex(field, pattern, negated):
            bound = bindings.bind(pattern, "String")
            found = f"arrayExists(x -> x != '' AND match(x, {bound}), {fields.texts[field]})"
        case Like():
            raise TypeError("like is an order, no condition")
    return f"NOT ({found})" if negated else found
