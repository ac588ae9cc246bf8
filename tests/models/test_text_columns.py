"""Columns of letters: what is joined, and what stays lines of its own."""

import numpy as np
import pytest

from models.text_columns import half_width, join_columns
from models.types import Floats


def quad(left: float, top: float, width: float, height: float) -> Floats:
    right, bottom = left + width, top + height
    return np.array([[left, top], [right, top], [right, bottom], [left, bottom]], np.float32)


def letters(left: float, n: int, pitch: float) -> list[Floats]:
    """Letters of 20 x 24 px under each other."""
    return [quad(left, pitch * row, 20, 24) for row in range(n)]


@pytest.mark.parametrize("pitch", [24, 36, 54])
def test_letters_under_each_other_are_one_column(pitch: float) -> None:
    (column,), others = join_columns(letters(100, 5, pitch))
    assert column.tolist() == quad(100, 0, 20, 4 * pitch + 24).tolist()
    assert others == []


def test_letters_of_several_widths_and_a_part_of_several_letters_are_joined() -> None:
    parts = [quad(107, 0, 8, 24), quad(100, 40, 24, 64), quad(102, 120, 20, 24)]
    (column,), others = join_columns(parts)
    assert column.tolist() == quad(100, 0, 24, 144).tolist()
    assert others == []


@pytest.mark.parametrize(
    "quads",
    [
        letters(100, 2, 24),
        letters(100, 4, 60),
        [quad(100, 30 * row, 44, 24) for row in range(4)],
        [quad(100 + 10 * row, 30 * row, 20, 24) for row in range(4)],
        [quad(100, 0, 8, 24), quad(91, 30, 26, 24), quad(100, 60, 8, 24)],
        [*letters(100, 4, 36), quad(126, 36, 90, 24)],
    ],
    ids=["two", "far apart", "short words", "stairs", "too unlike", "numbers of a list"],
)
def test_other_lines_stay_apart(quads: list[Floats]) -> None:
    joined, others = join_columns(quads)
    assert joined == []
    assert len(others) == len(quads)
    assert all(a is b for a, b in zip(others, quads, strict=True))


def test_two_columns_are_two() -> None:
    joined, others = join_columns(
        [*letters(100, 4, 36), quad(300, 60, 90, 20), *letters(200, 3, 36)]
    )
    assert [int(column[0, 0]) for column in joined] == [100, 200]
    assert [one.tolist() for one in others] == [quad(300, 60, 90, 20).tolist()]


def test_full_width_letters_are_ascii_and_others_stay() -> None:
    assert half_width("\uff34\uff21XI \uff12\uff14 \u30e8\uff01") == "TAXI 24 \u30e8!"
