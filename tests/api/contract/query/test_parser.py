"""The query language: what a text means, the text of a meaning, and texts that mean nothing."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from api.contract.query.parser import MAX_LENGTH, MAX_TERMS, MAX_VALUE_LENGTH, MAX_VALUES, parse
from api.contract.query.tasks import TASKS
from api.contract.query.terms import (
    Among,
    Compare,
    Like,
    Query,
    QueryError,
    Regex,
    Vocabulary,
    Word,
    render,
)
from api.contract.query.tracks import TRACKS
from tests.api.queries import LETTERS, queries

LISTS = {"tasks": TASKS, "tracks": TRACKS}
MARKS = 'status:source:age<fps>=dwell>text~like:vt_01:3"\\-,. \t\x00\ud800%smhd09ocr*' + LETTERS


def test_every_kind_of_term_is_read() -> None:
    found = parse(
        "status:failed,cancelled source:gate* -ocr age<2h fps<=1.5 progress>=50% AB", TASKS
    )
    assert found.without_positions() == Query(
        (
            Among("status", ("failed", "cancelled")),
            Among("source", ("gate*",)),
            Among("step", ("ocr",), negated=True),
            Compare("age", "<", 7200.0),
            Compare("fps", "<=", 1.5),
            Compare("progress", ">=", 0.5),
            Word("AB"),
        )
    )
    found = parse('class:person dwell>5 text~^AB-\\d+ like:vt_01:3 -"ocr" -text:"a b"', TRACKS)
    assert found.without_positions() == Query(
        (
            Among("class", ("person",)),
            Compare("dwell", ">", 5.0),
            Regex("text", "^AB-\\d+"),
            Like("vt_01", 3),
            Word("ocr", negated=True),
            Among("text", ("a b",), negated=True),
        )
    )


def test_a_term_knows_its_position() -> None:
    assert [term.position for term in parse("  a -status:failed  b", TASKS).terms] == [2, 4, 20]


@pytest.mark.parametrize(
    ("text", "position", "said"),
    [
        ("a status:done", 9, "no such status; there are: pending, running"),
        ("place:gate", 0, "there is no such field; there are: status, step, source"),
        ("http://x", 0, 'in "quotes"'),
        ("ok status:", 10, "a value is missing"),
        ("status:failed,", 14, "a value is missing"),
        ("status<failed", 0, "status takes : and not <"),
        ("fps:5", 3, "fps takes <, <=, > or >="),
        ("age<2y", 4, "age takes a number: 90s, 15m, 2h or 7d"),
        ("fps<2h", 4, "fps takes a number: 12.5"),
        ("fps<nan", 4, "fps takes a number"),
        ("fps<1e9", 4, "fps takes a number"),
        ("progress<50", 9, "at most 1, or 100%"),
        ("age<9999999999d", 4, "at most 1000000000"),
        ("a -", 2, "a term has to follow the -"),
        ('a "bc', 2, "the closing quote is missing"),
        ('"a"b', 3, "a space has to follow the closing quote"),
        ('age<"2h",x', 8, "a space has to follow the closing quote"),
        ('""', 0, "a value is missing"),
        ("source~x", 0, "source takes no ~"),
        ("a\tb", 1, "control characters"),
        ("a\x00", 1, "control characters"),
        ("a\ud800", 1, "control characters"),
        ("like:vt_01:3", 0, "there is no such field"),
        ("x" * (MAX_VALUE_LENGTH + 1), 0, f"at most {MAX_VALUE_LENGTH} characters"),
        ("a " * (MAX_LENGTH // 2 + 1), MAX_LENGTH, f"at most {MAX_LENGTH} characters"),
        ("a " * (MAX_TERMS + 1), MAX_TERMS * 2, f"at most {MAX_TERMS} terms"),
        ("id:" + ",".join("a" * (MAX_VALUES + 1)), 3 + 2 * MAX_VALUES, f"at most {MAX_VALUES} val"),
    ],
)
def test_a_fault_is_named_with_its_position(text: str, position: int, said: str) -> None:
    with pytest.raises(QueryError) as caught:
        parse(text, TASKS)
    assert (caught.value.position, said in caught.value.reason) == (position, True), caught.value
    assert f"at character {position + 1}" in str(caught.value)


@pytest.mark.parametrize(
    "text", ["like:vt_01", "-like:vt_01:3", "like:a:1 like:a:2", "like:a:99999999999", "like<a:1"]
)
def test_like_takes_one_track(text: str) -> None:
    with pytest.raises(QueryError, match="like"):
        parse(text, TRACKS)


@pytest.mark.parametrize("vocabulary", LISTS.values(), ids=LISTS)
@given(data=st.data())
def test_the_text_of_a_query_means_that_query(vocabulary: Vocabulary, data: st.DataObject) -> None:
    query = data.draw(queries(vocabulary))
    text = render(query, vocabulary)
    if len(text) > MAX_LENGTH:
        return
    assert parse(text, vocabulary).without_positions() == query


@pytest.mark.parametrize("vocabulary", LISTS.values(), ids=LISTS)
@given(text=st.text(MARKS, max_size=80) | st.text(max_size=600))
@example(text="-" * 600)
@example(text='"' * 17)
@example(text="fps<" + "9" * 300)
def test_any_text_is_a_query_or_a_query_error(vocabulary: Vocabulary, text: str) -> None:
    fault: QueryError | None = None
    try:
        found = parse(text, vocabulary)
    except QueryError as exc:
        fault = exc
    if fault is not None:
        assert 0 <= fault.position <= len(text)
        assert fault.reason
        return
    assert parse(render(found, vocabulary), vocabulary).without_positions() == (
        found.without_positions()
    )
