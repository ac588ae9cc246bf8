"""When a reader stands still, and when it only waits."""

from hypothesis import given
from hypothesis import strategies as st

from streamproc.contract.watchdog import RENEWALS, Watchdog

LIMIT_S = 10.0


def looked(
    dog: "Watchdog[str]",
    *,
    until_s: float,
    position: int = 5,
    end: int = 9,
    waiting_for: str | None = None,
) -> list[str]:
    """Look once a second at a reader that does not move; return what the last look found."""
    found: list[str] = []
    for second in range(int(until_s) + 1):
        found = dog.look(float(second), {"p": position}, {"p": end}, waiting_for=waiting_for)
    return found


def test_a_reader_with_records_before_it_that_does_not_move_stands_after_the_limit() -> None:
    assert looked(Watchdog(LIMIT_S), until_s=LIMIT_S - 1) == []
    assert looked(Watchdog(LIMIT_S), until_s=LIMIT_S) == ["p"]


def test_a_reader_at_the_end_does_not_stand() -> None:
    assert looked(Watchdog(LIMIT_S), until_s=1000, end=5) == []


def test_a_reader_that_waits_for_its_store_does_not_stand_and_has_the_limit_after_it() -> None:
    dog: Watchdog[str] = Watchdog(LIMIT_S)
    assert looked(dog, until_s=100, waiting_for="clickhouse") == []
    assert dog.look(101, {"p": 5}, {"p": 9}) == []
    assert [dog.look(101 + s, {"p": 5}, {"p": 9}) for s in range(1, 11)][-1] == ["p"]


def test_without_an_end_nothing_is_known() -> None:
    dog: Watchdog[str] = Watchdog(LIMIT_S)
    assert [dog.look(float(s), {"p": 5}, {}) for s in range(100)] == [[]] * 100


def test_zero_is_off() -> None:
    assert looked(Watchdog(0), until_s=10_000) == []


def test_a_time_in_which_nobody_looked_does_not_count() -> None:
    dog: Watchdog[str] = Watchdog(LIMIT_S)
    assert dog.look(0, {"p": 5}, {"p": 9}) == []
    assert dog.look(100_000, {"p": 5}, {"p": 9}) == []  # the machine slept
    assert [dog.look(100_000 + s, {"p": 5}, {"p": 9}) for s in range(1, 11)][-1] == ["p"]


def test_one_partition_stands_beside_others_that_move() -> None:
    dog: Watchdog[str] = Watchdog(LIMIT_S)
    found = [dog.look(float(s), {"a": s, "b": 3}, {"a": 10**6, "b": 4}) for s in range(11)]
    assert found[-1] == ["b"]


def test_a_renewal_gives_the_limit_again_and_some_in_a_row_are_hopeless() -> None:
    dog: Watchdog[str] = Watchdog(LIMIT_S)
    now_s = 0.0
    for n in range(RENEWALS):
        assert not dog.is_hopeless
        assert looked_from(dog, now_s) == ["p"]
        dog.renewed()
        now_s += 100
        assert dog.n_renewals == n + 1
    assert dog.is_hopeless
    assert dog.look(now_s, {"p": 5}, {"p": 9}) == []
    dog.look(now_s + 1, {"p": 6}, {"p": 9})
    assert not dog.is_hopeless  # a record was read


def looked_from(dog: "Watchdog[str]", start_s: float) -> list[str]:
    return [dog.look(start_s + s, {"p": 5}, {"p": 9}) for s in range(11)][-1]


@given(
    st.lists(
        st.tuples(st.floats(0.1, 4), st.integers(0, 3), st.integers(0, 3), st.booleans()),
        max_size=60,
    )
)
def test_it_stands_exactly_when_nothing_moved_for_the_limit(
    looks: list[tuple[float, int, int, bool]],
) -> None:
    dog: Watchdog[str] = Watchdog(LIMIT_S)
    now_s, since_s, before = 0.0, 0.0, None
    for step_s, position, end, waits in looks:
        now_s += step_s
        if before is None or position != before or waits or position >= end:
            since_s = now_s
        before = position
        found = dog.look(now_s, {"p": position}, {"p": end}, waiting_for="s3" if waits else None)
        assert found == (["p"] if now_s - since_s >= LIMIT_S else [])
