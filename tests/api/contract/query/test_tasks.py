"""Values of tasks that queries compare and lists sort by."""

import pytest

from api.contract.query.parser import parse
from api.contract.query.tasks import (
    TASKS,
    Sort,
    TaskFacts,
    matches,
    parse_sort,
    sort_value,
    text_matches,
)

TASK = TaskFacts("vt_01", "running", 1_000, 2_000, None, processed_frames=30, expected_frames=40)


@pytest.mark.parametrize(
    ("value", "text", "exact", "fits"),
    [
        ("gate", "the-GATE.mp4", False, True),
        ("gate", "the-gate.mp4", True, False),
        ("Gate", "gate", True, True),
        ("gate*", "gate-3.mp4", False, True),
        ("gate*", "the-gate.mp4", False, False),
        ("*gate", "the-gate", False, True),
        ("a*a", "a", False, False),
        ("a*b*c", "a1b2c", False, True),
        ("a*b*c", "acb", False, False),
        ("*b*b*", "ab", False, False),
        ("*", "", False, True),
        ("a.c", "abc", False, False),
    ],
)
def test_a_value_is_contained_equal_or_a_pattern(
    value: str, text: str, exact: bool, fits: bool
) -> None:
    assert text_matches(value, text, is_exact=exact) is fits


def test_speed_and_progress_are_of_the_work() -> None:
    assert TASK.fps(5_000) == 10
    assert TASK.progress == 0.75
    assert sort_value(TASK, "fps", 5_000) == 10_000
    unknown = TaskFacts("vt_02", "pending", 1_000)
    assert (unknown.fps(5_000), unknown.progress) == (None, None)
    assert sort_value(unknown, "progress", 5_000) == -1


def test_the_time_since_its_end_is_unknown_of_a_task_that_goes_on() -> None:
    ended = TaskFacts("vt_03", "failed", 1_000, 2_000, 3_000)
    for text, found in {"ended<3s": True, "ended<2s": False, "-ended<2s": True}.items():
        assert matches(parse(text, TASKS), ended, 5_000) is found, text
        assert matches(parse(text, TASKS), TASK, 5_000) is text.startswith("-"), text


def test_a_sort_is_a_key_and_a_direction() -> None:
    assert parse_sort("-fps") == Sort("fps", descending=True)
    assert str(parse_sort("created")) == "created"
    for text in ("", "-", "--fps", "age", "fps desc"):
        with pytest.raises(ValueError, match="no such key"):
            parse_sort(text)
