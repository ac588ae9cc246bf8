"""The vote on a track's text: the whole wins over its parts, whatever the order, within bounds."""

from collections import defaultdict

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamproc.contract.text_vote import (
    MAX_CHARS,
    MAX_SPELLINGS,
    Spelling,
    Vote,
    add_reading,
    count,
)

READINGS = st.lists(
    st.tuples(st.sampled_from(["PARK", "park", "P ARK", "ARK", "PA", " ", ""]), st.floats(0, 1)),
    max_size=40,
)


def fold(readings: list[tuple[str, float]]) -> tuple[Spelling, ...]:
    spellings: tuple[Spelling, ...] = ()
    for text, confidence in readings:
        spellings = add_reading(spellings, text, confidence)
    return spellings


def test_a_sure_part_does_not_beat_the_whole() -> None:
    vote = count(fold([("ARKING", 0.99), ("PARKING", 0.8), ("PARKING", 0.85), ("PARK", 0.98)]))
    assert vote is not None
    assert (vote.text, vote.confidence) == ("PARKING", 0.85)
    assert vote.support == pytest.approx(1.65 * 7 / (1.65 * 7 + 0.99 * 6 + 0.98 * 4))


def test_case_and_blanks_make_no_other_spelling() -> None:
    spellings = fold([("no parking", 0.6), ("NO PARKING", 0.9), ("NOPARKING", 0.7)])
    assert count(spellings) == Vote("NO PARKING", 0.9, 1.0)
    assert len(spellings) == 1
    assert spellings[0].weight == pytest.approx(2.2 * 9)


def test_of_equal_ones_the_first_seen_wins() -> None:
    vote = count(fold([("AB", 0.5), ("CD", 0.5)]))
    assert vote is not None
    assert (vote.text, vote.support) == ("AB", 0.5)


def test_nothing_readable_gives_no_vote() -> None:
    assert fold([(" ", 0.9), ("", 1.0)]) == ()
    assert count(()) is None
    assert count(fold([("A", 0.0)])) == Vote("A", 0.0, 1.0)


@given(READINGS)
def test_the_votes_are_those_that_were_cast(readings: list[tuple[str, float]]) -> None:
    cast: dict[str, float] = defaultdict(float)
    for text, confidence in readings:
        key = "".join(text.split()).lower()
        if key:
            cast[key] += confidence * len(key)
    spellings = fold(readings)
    counted = {"".join(s.text.split()).lower(): s.weight for s in spellings}
    assert counted == pytest.approx(dict(cast))
    vote = count(spellings)
    assert (vote is None) == (not cast)
    if vote is not None:
        assert cast["".join(vote.text.split()).lower()] == pytest.approx(max(cast.values()))
        assert any(text == vote.text for text, _ in readings)
        assert 0 < vote.support <= 1


@given(st.lists(st.tuples(st.text(max_size=8), st.floats(0, 1)), max_size=120))
def test_a_track_keeps_few_spellings_and_the_heavy_one(readings: list[tuple[str, float]]) -> None:
    spellings = fold([("THE TRUE ONE", 1.0)] * 3 + readings)
    assert len(spellings) <= MAX_SPELLINGS
    vote = count(spellings)
    assert vote is not None
    assert vote.text == "THE TRUE ONE" or max(s.weight for s in spellings) > 30


def test_values_from_outside_are_bounded() -> None:
    (spelling,) = fold([("x" * 10_000, 7.0)])
    assert spelling == Spelling("x" * MAX_CHARS, float(MAX_CHARS), 1.0)
    assert fold([("y", -3.0)])[0].weight == 0
