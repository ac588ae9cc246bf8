"""Lengths of time as people type them."""

from datetime import UTC, datetime

import pytest

from console.cli.durations import ago, day_ago, moment, seconds
from console.errors import RequestWordsError


@pytest.mark.parametrize(
    ("text", "expected"),
    [("0s", 0), ("90s", 90), ("15m", 900), (" 24h ", 86_400), ("30d", 2_592_000)],
)
def test_a_length_of_time_is_a_number_and_a_unit(text: str, expected: int) -> None:
    assert seconds(text) == expected


@pytest.mark.parametrize("text", ["", "d", "1", "1w", "-1d", "1.5h", "1d2h", "9999999s"])
def test_anything_else_is_named(text: str) -> None:
    with pytest.raises(RequestWordsError, match="is not a duration"):
        seconds(text)


def test_a_moment_is_counted_from_now_or_taken_as_it_is() -> None:
    now = datetime.now(UTC)
    assert 59 * 60 < (datetime.fromisoformat(moment("1h")) - now).total_seconds() <= 3601
    assert -3601 < (datetime.fromisoformat(ago("1h")) - now).total_seconds() <= -3598
    assert moment("2026-01-31T00:00:00Z") == ago("2026-01-31T00:00:00Z") == "2026-01-31T00:00:00Z"


def test_a_date_is_its_midnight() -> None:
    assert moment("2026-01-31") == ago(" 2026-01-31 ") == "2026-01-31T00:00:00Z"


def test_a_day_is_named_or_counted_back() -> None:
    assert day_ago("2026-01-31") == "2026-01-31"
    apart = datetime.fromisoformat(day_ago("0s")) - datetime.fromisoformat(day_ago("30d"))
    assert apart.days in {30, 31}  # midnight may pass between the two
