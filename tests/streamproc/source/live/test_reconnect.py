"""The attempts to reach a source: how often, how long, and what ends them."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamproc.source.errors import (
    BY_CODE,
    SourceBusyError,
    SourceError,
    SourceForbiddenError,
    SourceLostError,
    SourceNotVideoError,
    SourceStatusError,
    SourceTimeoutError,
    SourceTooLargeError,
    SourceUnauthorizedError,
    SourceUnreachableError,
    SourceUnsupportedError,
)
from streamproc.source.live.reconnect import Reconnects

AWAY = SourceUnreachableError("cam cannot be reached")
TEMPORARY = [AWAY, SourceTimeoutError("t"), SourceStatusError("404"), SourceBusyError("453")]
REFUSALS = [SourceUnauthorizedError("401"), SourceBusyError("453")]


def started(give_up_s: float | None = None, *, random: float = 0.5) -> Reconnects:
    return Reconnects(0.0, give_up_s=give_up_s, random=lambda: random)


def attempts(
    policy: Reconnects, failure: SourceError, start_s: float, until_s: float
) -> list[float]:
    """The times of the attempts, each of which fails at once."""
    now_s, found = start_s, []
    while now_s < until_s:
        now_s += policy.wait_s(failure, now_s)
        found.append(now_s)
    return found


def test_a_lost_source_is_tried_quickly_then_slowly_and_for_ever() -> None:
    policy = started()
    policy.seen(100.0)
    found = attempts(policy, AWAY, 100.0, 100 + 4000.0)
    assert found[:6] == pytest.approx([100.2, 100.7, 101.7, 103.7, 105.7, 107.7])
    waits = [b - a for a, b in pairwise(found)]
    assert {round(wait_s, 6) for wait_s in waits} == {0.5, 1, 2, 5, 15}
    assert sum(at_s < 160 for at_s in found) < 35
    assert policy.n_failed == len(found)
    assert attempts(policy, AWAY, 1e6, 1e6 + 100) != []


@pytest.mark.parametrize("failure", TEMPORARY)
def test_before_the_first_picture_it_is_tried_for_a_minute(failure: SourceError) -> None:
    policy = started()
    with pytest.raises(type(failure)) as caught:
        attempts(policy, failure, 0.0, 1000.0)
    assert caught.value is failure
    assert 20 < policy.n_failed < 40


@pytest.mark.parametrize("failure", [*TEMPORARY, SourceUnauthorizedError("401")])
def test_a_source_that_worked_in_another_process_is_tried_on(failure: SourceError) -> None:
    policy = Reconnects(0.0, give_up_s=None, random=lambda: 0.5, has_worked=True)
    assert attempts(policy, failure, 0.0, 1000.0)[-1] >= 1000.0


def test_a_wrong_password_ends_at_once_before_the_first_picture() -> None:
    policy = started()
    with pytest.raises(SourceUnauthorizedError):
        policy.wait_s(SourceUnauthorizedError("401"), 0.1)


@pytest.mark.parametrize("failure", REFUSALS)
def test_a_refusal_by_a_source_that_has_worked_is_repeated_slowly(failure: SourceError) -> None:
    policy = started(random=0.0)
    policy.seen(10.0)
    assert [policy.wait_s(failure, 11.0) for _ in range(5)] == [60, 120, 300, 300, 300]
    policy.seen(900.0)
    assert policy.wait_s(failure, 901.0) == 60
    assert policy.wait_s(AWAY, 902.0) == 0.4


@given(st.floats(0, 1))
def test_a_refusal_is_never_repeated_sooner(random: float) -> None:
    policy = started(random=random)
    policy.seen(10.0)
    waits = [policy.wait_s(REFUSALS[0], 11.0) for _ in range(4)]
    assert all(n <= wait_s <= 1.2 * n for wait_s, n in zip(waits, (60, 120, 300, 300), strict=True))


@pytest.mark.parametrize(
    "failure",
    [SourceForbiddenError("f"), SourceNotVideoError("n"), SourceUnsupportedError("u"),
     SourceTooLargeError("l")],
)  # fmt: skip
@pytest.mark.parametrize("has_worked", [False, True])
def test_what_cannot_change_is_never_tried_again(failure: SourceError, *, has_worked: bool) -> None:
    policy = started()
    if has_worked:
        policy.seen(1.0)
    with pytest.raises(type(failure)) as caught:
        policy.wait_s(failure, 2.0)
    assert caught.value is failure


@pytest.mark.parametrize("failure", [AWAY, SourceUnauthorizedError("401")])
def test_a_source_is_given_up_at_the_time_that_was_set(failure: SourceError) -> None:
    policy = started(30.0)
    policy.seen(100.0)
    now_s = 100.0
    while now_s < 129.999:
        now_s += policy.wait_s(failure, now_s)
    assert now_s == pytest.approx(130.0)
    with pytest.raises(SourceLostError, match="no picture for 30 s") as caught:
        policy.wait_s(failure, now_s)
    assert caught.value.__cause__ is failure
    assert BY_CODE["source_lost"] is SourceLostError


@given(st.lists(st.tuples(st.floats(0, 100), st.booleans()), max_size=60), st.floats(0, 1))
def test_waits_stay_within_their_jitter(steps: list[tuple[float, bool]], random: float) -> None:
    policy, exact, now_s = started(random=random), started(), 0.0
    policy.seen(0.0)
    exact.seen(0.0)
    for step_s, is_seen in steps:
        now_s += step_s
        if is_seen:
            policy.seen(now_s)
            exact.seen(now_s)
        wait_s = exact.wait_s(AWAY, now_s)
        assert 0.8 * wait_s - 1e-9 <= policy.wait_s(AWAY, now_s) <= 1.2 * wait_s + 1e-9
        assert wait_s >= 0.2
