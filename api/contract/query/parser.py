r"""Parser of the query language: text to typed terms.

    query   = [term *(SP term)]
    term    = ["-"] (field ":" value *("," value) | field op number | field "~" value | word)
    op      = "<" | "<=" | ">" | ">="
    number  = digits ["." digits] ["%" | "s" | "m" | "h" | "d"]
    value   = word without "," | '"' any text, with \" and \\ '"'

`like:TASK:N` has no list of values and cannot be negated.
"""

import re
import unicodedata

from api.contract.query.terms import (
    UNITS_S,
    Among,
    Compare,
    Field,
    Like,
    Op,
    Query,
    QueryError,
    Regex,
    Term,
    Vocabulary,
    Word,
)

MAX_LENGTH = 512
MAX_TERMS = 16
MAX_VALUES = 16
MAX_VALUE_LENGTH = 128
MAX_NUMBER = 1_000_000_000.0
MAX_TRACK = 2**32 - 1

_FIELD = re.compile(r"([A-Za-z_]+)(:|<=|<|>=|>|~)")
_NUMBER = re.compile(r"([0-9]{1,10}(?:\.[0-9]{1,6})?|\.[0-9]{1,6})([%smhd]?)", re.ASCII)
_LIKE = re.compile(r"(\S{1,64}):([0-9]{1,10})", re.ASCII)
_OPS: dict[str, Op] = {"<": "<", "<=": "<=", ">": ">", ">=": ">="}


def parse(text: str, vocabulary: Vocabulary) -> Query:
    """Parse a query. Raises `QueryError`, and nothing else, on a text that is none."""
    if len(text) > MAX_LENGTH:
        raise QueryError(f"a query has at most {MAX_LENGTH} characters", MAX_LENGTH)
    for at, char in enumerate(text):
        if unicodedata.category(char) in {"Cc", "Cs"}:
            raise QueryError("control characters are not allowed", at)
    terms: list[Term] = []
    reader = _Reader(text)
    while reader.skip_space():
        if len(terms) == MAX_TERMS:
            raise QueryError(f"a query has at most {MAX_TERMS} terms", reader.at)
        term = _term(reader, vocabulary)
        if isinstance(term, Like) and any(isinstance(known, Like) for known in terms):
            raise QueryError("like can be given once", term.position)
        terms.append(term)
    return Query(tuple(terms))


class _Reader:
    """The text and the place up to which it was read."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0

    def skip_space(self) -> bool:
        """Go to the next term; return whether there is one."""
        while self.at < len(self.text) and self.text[self.at].isspace():
            self.at += 1
        return self.at < len(self.text)

    @property
    def ends_here(self) -> bool:
        """Whether a term ends here."""
        return self.at >= len(self.text) or self.text[self.at].isspace()

    def take(self, mark: str) -> bool:
        """Read `mark` if it is next."""
        if not self.text.startswith(mark, self.at):
            return False
        self.at += len(mark)
        return True

    def value(self, stop: str = "") -> str:
        """Read a value up to a space or `stop`, or a quoted text. Raises `QueryError` if empty."""
        start = self.at
        found = self._quoted(stop) if self.take('"') else self._bare(stop)
        if not found:
            raise QueryError("a value is missing", start, self._word(start))
        if len(found) > MAX_VALUE_LENGTH:
            raise QueryError(f"a value has at most {MAX_VALUE_LENGTH} characters", start)
        return found

    def _bare(self, stop: str) -> str:
        start = self.at
        while not self.ends_here and self.text[self.at] != stop:
            self.at += 1
        return self.text[start : self.at]

    def _quoted(self, stop: str) -> str:
        start = self.at - 1
        found = ""
        while self.at < len(self.text):
            char = self.text[self.at]
            self.at += 1
            if char == '"':
                if not self.ends_here and self.text[self.at] != stop:
                    raise QueryError("a space has to follow the closing quote", self.at)
                return found
            if char == "\\" and self.text[self.at : self.at + 1] in {'"', "\\"}:
                char = self.text[self.at]
                self.at += 1
            found += char
        raise QueryError("the closing quote is missing", start)

    def _word(self, start: int) -> str:
        """Return the term around `start`, shortened, for a message."""
        while start and not self.text[start - 1].isspace():
            start -= 1
        return next(iter(self.text[start:].split()), "")[:32]


def _term(reader: _Reader, vocabulary: Vocabulary) -> Term:
    position = reader.at
    negated = reader.take("-")
    if negated and reader.ends_here:
        raise QueryError("a term has to follow the -", position)
    named = _FIELD.match(reader.text, reader.at)
    if named is None:
        return _word(reader, vocabulary, negated=negated, position=position)
    reader.at = named.end()
    name, mark = named[1].lower(), named[2]
    if name == "like" and vocabulary.has_like:
        return _like(reader, mark, negated=negated, position=position)
    field = vocabulary.field(name)
    if field is None:
        known = ", ".join(vocabulary.names)
        raise QueryError(
            f'there is no such field; there are: {known} (put a word with {mark} in "quotes")',
            position,
            named[0][:32],
        )
    if mark == "~":
        if not field.has_regex:
            raise QueryError(f"{name} takes no ~", position, named[0])
        return Regex(name, reader.value(), negated, position)
    if mark == ":":
        return Among(name, _values(reader, field), negated, position)
    return _compare(reader, field, _OPS[mark], negated=negated, position=position)


def _word(reader: _Reader, vocabulary: Vocabulary, *, negated: bool, position: int) -> Term:
    is_quoted = reader.text.startswith('"', reader.at)
    text = reader.value()
    if not is_quoted and text.lower() in vocabulary.bare_words:
        return Among(vocabulary.bare_field, (text.lower(),), negated, position)
    return Word(text, negated, position)


def _values(reader: _Reader, field: Field) -> tuple[str, ...]:
    if field.kind not in {"choice", "text"}:
        raise QueryError(f"{field.name} takes <, <=, > or >=, not :", reader.at - 1, field.name)
    found: list[str] = []
    while True:
        start = reader.at
        value = reader.value(stop=",")
        if field.kind == "choice":
            value = value.lower()
            if value not in field.choices:
                raise QueryError(
                    f"no such {field.name}; there are: {', '.join(field.choices)}",
                    start,
                    value[:32],
                )
        if len(found) == MAX_VALUES:
            raise QueryError(f"{field.name} takes at most {MAX_VALUES} values", start)
        found.append(value)
        if not reader.take(","):
            return tuple(found)


def _compare(reader: _Reader, field: Field, op: Op, *, negated: bool, position: int) -> Compare:
    if field.kind not in {"number", "fraction", "duration"}:
        raise QueryError(f"{field.name} takes : and not {op}", position, field.name)
    start = reader.at
    text = reader.value()
    match = _NUMBER.fullmatch(text)
    unit = match[2] if match else ""
    allowed = {"number": "", "fraction": "%", "duration": "smhd"}[field.kind]
    if match is None or unit not in allowed:
        example = {"number": "12.5", "fraction": "0.5 or 50%", "duration": "90s, 15m, 2h or 7d"}
        raise QueryError(f"{field.name} takes a number: {example[field.kind]}", start, text[:32])
    number = float(match[1])
    number = number / 100 if unit == "%" else number * UNITS_S.get(unit, 1)
    if field.kind == "fraction" and number > 1:
        raise QueryError(f"{field.name} is at most 1, or 100%", start, text[:32])
    if number > MAX_NUMBER:
        raise QueryError(f"a number is at most {MAX_NUMBER:.0f}", start, text[:32])
    return Compare(field.name, op, round(number, 6), negated, position)


def _like(reader: _Reader, mark: str, *, negated: bool, position: int) -> Like:
    if mark != ":" or negated:
        raise QueryError("like stands as like:TASK:N", position, "like")
    start = reader.at
    text = reader.value()
    match = _LIKE.fullmatch(text)
    if match is None or int(match[2]) > MAX_TRACK:
        raise QueryError("like takes a track: like:TASK:N", start, text[:32])
    return Like(match[1], int(match[2]), position)
