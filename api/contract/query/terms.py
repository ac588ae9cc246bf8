"""Terms of the query language, and their text.

A query is a conjunction of terms. Each term knows its `position` in the text that was parsed (0 is
the first character), for messages about it. `negated` terms match where the term itself does not.
"""

import re
from typing import Literal

import msgspec
from msgspec.structs import replace

Op = Literal["<", "<=", ">", ">="]
Kind = Literal["choice", "text", "number", "fraction", "duration"]

WILDCARD = "*"
UNITS_S = {"d": 86_400, "h": 3600, "m": 60, "s": 1}


class QueryError(ValueError):
    """A text is not a query. `position` is where, `term` the word there, `reason` the fault."""

    def __init__(self, reason: str, position: int, term: str = "") -> None:
        shown = f" ({term!r})" if term else ""
        super().__init__(f"at character {position + 1}{shown}: {reason}")
        self.reason = reason
        self.position = position
        self.term = term


class Field(msgspec.Struct, frozen=True):
    """A field of a list. `choices`: the values of a `choice`. `has_regex`: it can follow `~`.

    A value matches a text if it is contained, or equal for a choice and for a field that
    `is_exact`; a value with `*` has to match as a whole. Upper and lower case are the same, except
    for patterns. Nothing matches an empty text.
    """

    name: str
    kind: Kind
    choices: tuple[str, ...] = ()
    is_exact: bool = False
    has_regex: bool = False


class Vocabulary(msgspec.Struct, frozen=True):
    """The fields of one list. `bare_field`: a choice field whose values may stand alone.

    `has_like`: `like:TASK:N` orders the list by similarity to that track.
    """

    fields: tuple[Field, ...]
    bare_field: str = ""
    has_like: bool = False

    def field(self, name: str) -> Field | None:
        return next((field for field in self.fields if field.name == name), None)

    @property
    def bare_words(self) -> tuple[str, ...]:
        field = self.field(self.bare_field)
        return () if field is None else field.choices

    @property
    def names(self) -> tuple[str, ...]:
        return (*(field.name for field in self.fields), *(("like",) if self.has_like else ()))


class Word(msgspec.Struct, frozen=True):
    """A word that any text of the row contains."""

    text: str
    negated: bool = False
    position: int = 0


class Among(msgspec.Struct, frozen=True):
    """The field matches one of the values."""

    field: str
    values: tuple[str, ...]
    negated: bool = False
    position: int = 0


class Compare(msgspec.Struct, frozen=True):
    """The field is known and compares with the number; durations are in seconds."""

    field: str
    op: Op
    number: float
    negated: bool = False
    position: int = 0


class Regex(msgspec.Struct, frozen=True):
    """The field contains a match of the RE2 pattern."""

    field: str
    pattern: str
    negated: bool = False
    position: int = 0


class Like(msgspec.Struct, frozen=True):
    """Rows are ordered by similarity to this track."""

    task: str
    track: int
    position: int = 0


Term = Word | Among | Compare | Regex | Like


class Query(msgspec.Struct, frozen=True):
    """All terms have to match."""

    terms: tuple[Term, ...] = ()

    @property
    def like(self) -> Like | None:
        return next((term for term in self.terms if isinstance(term, Like)), None)

    def without_positions(self) -> "Query":
        """Return the same query as if it had no text."""
        return Query(tuple(replace(term, position=0) for term in self.terms))


_NEEDS_QUOTES = re.compile(r'[\s",:<>~]|^-')


def is_exact(vocabulary: Vocabulary, name: str) -> bool:
    """Return whether a value has to be equal to the field's text, not only contained."""
    field = vocabulary.field(name)
    return field is not None and (field.is_exact or field.kind == "choice")


def render(query: Query, vocabulary: Vocabulary) -> str:
    """Return a text that parses to the same query."""
    return " ".join(render_term(term, vocabulary) for term in query.terms)


def render_term(term: Term, vocabulary: Vocabulary) -> str:
    """Return the text of one term."""
    if isinstance(term, Like):
        return f"like:{term.task}:{term.track}"
    return ("-" if term.negated else "") + _positive(term, vocabulary)


def duration_text(seconds: float) -> str:
    """Return a duration in the largest unit that it is a multiple of: `2h`, `90s`."""
    for unit, length_s in UNITS_S.items():
        if seconds and seconds % length_s == 0:
            return f"{seconds / length_s:.0f}{unit}"
    return f"{number_text(seconds)}s"


def number_text(number: float) -> str:
    """Return the number with at most 6 decimals, without trailing zeros."""
    return f"{number:.6f}".rstrip("0").rstrip(".")


def _positive(term: Word | Among | Compare | Regex, vocabulary: Vocabulary) -> str:
    match term:
        case Word(text):
            is_bare = text.lower() in vocabulary.bare_words
            return _quoted(text, always=is_bare)
        case Among(field, (value,)) if field == vocabulary.bare_field:
            return value
        case Among(field, values):
            return f"{field}:{','.join(_quoted(value) for value in values)}"
        case Compare(field, op, number):
            found = vocabulary.field(field)
            is_duration = found is not None and found.kind == "duration"
            return f"{field}{op}{duration_text(number) if is_duration else number_text(number)}"
        case Regex(field, pattern):
            return f"{field}~{_quoted(pattern)}"


def _quoted(text: str, *, always: bool = False) -> str:
    if not always and not _NEEDS_QUOTES.search(text):
        return text
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
