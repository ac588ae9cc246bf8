"""How long an origin is waited for: honest ones for ever, drips not for long."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamproc.source.fetch.transfer_rate import Pace

RATE, PATIENCE_S = 6400.0, 20.0


@given(st.lists(st.tuples(st.floats(0, 19.9), st.floats(1, 5)), max_size=60))
def test_whoever_keeps_the_rate_over_every_wait_is_never_given_up(
    waits: list[tuple[float, float]],
) -> None:
    pace = Pace(RATE, PATIENCE_S)
    for waited_s, factor in waits:
        pace.note(waited_s, int(waited_s * RATE * factor) + 1)
    assert pace.left_s > 0


@given(st.floats(0.01, 15), st.floats(0, 0.5))
def test_whoever_sends_half_the_rate_is_given_up_within_twice_the_patience(
    step_s: float, share: float
) -> None:
    pace = Pace(RATE, PATIENCE_S)
    waited_s = 0.0
    while pace.left_s > 0:
        pace.note(step_s, int(step_s * RATE * share))
        waited_s += step_s
        assert waited_s <= 2 * PATIENCE_S + 2 * step_s
    assert waited_s >= PATIENCE_S - step_s


@given(st.lists(st.tuples(st.floats(0, 30), st.integers(0, 10**7)), max_size=30))
def test_patience_is_never_more_than_it_was_and_does_not_come_back(
    notes: list[tuple[float, int]],
) -> None:
    pace = Pace(RATE, PATIENCE_S)
    over = False
    for waited_s, n_bytes in notes:
        pace.note(waited_s, n_bytes)
        assert 0 <= pace.left_s <= PATIENCE_S
        assert not (over and pace.left_s > 0)
        over = pace.left_s == 0
    assert pace.n_bytes == sum(n for _, n in notes)


@pytest.mark.parametrize("n_bytes", [0, 1])
def test_without_a_rate_any_byte_restores_the_patience(n_bytes: int) -> None:
    pace = Pace(0, PATIENCE_S)
    for _ in range(50):
        pace.note(5.0, n_bytes)
    assert pace.left_s == (PATIENCE_S if n_bytes else 0)
