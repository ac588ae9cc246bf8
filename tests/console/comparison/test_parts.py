"""The parts of a comparison against other libraries, and against plain sets."""

import itertools

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from console.comparison import assignment
from console.comparison.assignment import assigned
from console.comparison.frames import boxes_of, overlaps
from console.comparison.runs import Runs, united, without
from streamproc.contract.chunk import Roi, Target

PAIRS = st.tuples(st.integers(0, 7), st.integers(0, 7))
PLACES = st.sets(st.integers(0, 25))
BOX = st.tuples(*[st.integers(0, 12)] * 4)


def runs_of(places: set[int]) -> Runs:
    runs = Runs()
    for place in sorted(places):
        runs.add(place)
    return runs


def places_of(runs: Runs) -> set[int]:
    return {place for start, end in runs for place in range(start, end)}


@given(st.dictionaries(PAIRS, st.integers(1, 20), max_size=24))
def test_the_greatest_weight_is_scipys(weights: dict[tuple[int, int], float]) -> None:
    from scipy.optimize import linear_sum_assignment

    chosen = assigned(weights)
    assert len({a for a, _ in chosen}) == len({b for _, b in chosen}) == len(chosen)
    matrix = np.zeros((8, 8))
    for pair, weight in weights.items():
        matrix[pair] = weight
    rows, columns = linear_sum_assignment(matrix, maximize=True)
    assert sum(weights[pair] for pair in chosen) == matrix[rows, columns].sum()


def test_a_group_that_is_too_large_is_assigned_heaviest_first() -> None:
    n = assignment.MAX_EXACT + 1
    chain = {(i, i): 1.0 + i for i in range(n)} | {(i + 1, i): 0.5 for i in range(n - 1)}
    assert assigned(chain) == {(i, i) for i in range(n)}


@given(PLACES, PLACES)
def test_runs_are_sets(places: set[int], others: set[int]) -> None:
    ours, theirs = runs_of(places), runs_of(others)
    for runs, expected in (
        (ours, places),
        (without(ours, theirs), places - others),
        (united(ours, theirs), places | others),
    ):
        assert places_of(runs) == expected
        assert runs.n_places == len(expected)
        bounds = list(runs)
        assert all(end < start for (_, end), (start, _) in itertools.pairwise(bounds))


def test_a_place_twice_is_one() -> None:
    runs = Runs()
    assert [runs.add(place) for place in (3, 3, 4, 4, 8, 3)] == [
        True,
        False,
        False,
        False,
        True,
        False,
    ]
    assert (list(runs), runs.n_places, len(runs), runs.first) == ([(3, 5), (8, 9)], 3, 2, 3)


def pixels(box: tuple[int, ...]) -> set[tuple[int, int]]:
    left, top, width, height = box
    return {(x, y) for x in range(left, left + width) for y in range(top, top + height)}


@given(st.lists(BOX, min_size=1, max_size=5), st.lists(BOX, min_size=1, max_size=5))
def test_an_overlap_is_the_common_pixels_of_all(
    ours: list[tuple[int, ...]], theirs: list[tuple[int, ...]]
) -> None:
    found = overlaps(boxes_of(map(target, ours)), boxes_of(map(target, theirs)))
    for i, a in enumerate(ours):
        for j, b in enumerate(theirs):
            either = pixels(a) | pixels(b)
            expected = len(pixels(a) & pixels(b)) / len(either) if either else float(a == b)
            assert found[i, j] == expected


def target(box: tuple[int, ...]) -> Target:
    return Target(1, "bus", 1.0, Roi(*box))


def test_places_beyond_any_picture_are_bounded() -> None:
    huge = Target(1, "bus", 1.0, Roi(-(10**400), 0, 10**400, 10**400))
    assert overlaps(boxes_of([huge]), boxes_of([huge])).tolist() == [[1.0]]
