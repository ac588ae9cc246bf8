from itertools import permutations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamproc.stages.tracking.association import assigned, cosine_distances, overlaps


def test_without_widening_the_overlap_is_iou() -> None:
    tracks = np.array([[0.0, 0, 10, 10], [100, 100, 110, 110]])
    detections = np.array([[5.0, 0, 15, 10], [0, 0, 10, 10]])
    assert overlaps(tracks, detections) == pytest.approx(np.array([[1 / 3, 1.0], [0, 0]]))


def test_widening_lets_boxes_that_do_not_touch_compare() -> None:
    track, detection = np.array([[0.0, 0, 10, 10]]), np.array([[20.0, 0, 30, 10]])
    widened = overlaps(track, detection, np.array([[10.0, 0.0]]))
    assert overlaps(track, detection)[0, 0] == 0
    assert widened[0, 0] == pytest.approx(10 / 50)  # 30 wide each, 10 shared


def test_cosine_distance_runs_from_0_to_2() -> None:
    axes = np.eye(2)
    found = cosine_distances(axes[:1], np.vstack([axes, -axes[:1]]))
    assert found.tolist() == [[0.0, 1.0, 2.0]]


@given(st.integers(0, 2**32 - 1), st.integers(1, 4), st.integers(1, 4))
def test_the_assignment_is_the_best_of_all_below_the_limit(seed: int, n: int, m: int) -> None:
    costs = np.random.default_rng(seed).uniform(0, 2, (n, m))
    rows, columns = assigned(costs, 1.0)
    assert (costs[rows, columns] < 1.0).all()
    assert len(set(rows.tolist())) == len(rows)
    assert len(set(columns.tolist())) == len(columns)
    gains = np.zeros((max(n, m), max(n, m)))
    gains[:n, :m] = np.minimum(costs - 1.0, 0)
    best = min(sum(gains[i, j] for i, j in enumerate(p)) for p in permutations(range(len(gains))))
    assert float((costs[rows, columns] - 1.0).sum()) == pytest.approx(best)


def test_nothing_is_assigned_when_all_is_too_far() -> None:
    rows, columns = assigned(np.full((2, 3), 1.0), 1.0)
    assert len(rows) == len(columns) == 0
