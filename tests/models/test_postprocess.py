import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from models.manifest import InputOptions
from models.postprocess import (
    MAX_CANDIDATES,
    anchors,
    decode_nanodet,
    decode_yolox,
    select,
    suppress,
)
from models.preprocess import crops, fit, geometry
from models.sizes import SourceShape
from models.types import Floats
from tests.models.boxes import iou


def random_boxes(seed: int, n: int) -> Floats:
    rng = np.random.default_rng(seed)
    corner = rng.uniform(0, 80, (n, 2))
    return np.concatenate([corner, corner + rng.uniform(1, 40, (n, 2))], axis=1).astype(np.float32)


def test_anchors_run_stride_by_stride_row_by_row() -> None:
    grid = anchors(32, 16, (8, 16))
    assert grid.cells.tolist() == [
        *[[x, y] for y in range(2) for x in range(4)],
        *[[x, 0] for x in range(2)],
    ]
    assert grid.strides.tolist() == [8.0] * 8 + [16.0] * 2


def test_nanodet_distances_are_expectations() -> None:
    rng = np.random.default_rng(1)
    logits = rng.normal(size=(5, 44)).astype(np.float32)
    cells = rng.integers(0, 9, (5, 2)).astype(np.float32)
    strides = np.array([8, 8, 16, 32, 32], np.float32)
    boxes = decode_nanodet(logits, cells, strides, 0.5)
    for i in range(5):
        sides = []
        for side in range(4):
            part = logits[i, side * 11 : side * 11 + 11].astype(float)
            weights = np.exp(part) / np.exp(part).sum()
            sides.append(float(strides[i]) * sum(k * w for k, w in enumerate(weights)))
        x, y = (cells[i] + 0.5) * strides[i]
        expected = [x - sides[0], y - sides[1], x + sides[2], y + sides[3]]
        np.testing.assert_allclose(boxes[i], expected, rtol=1e-4, atol=1e-3)


@given(st.integers(0, 1 << 32), st.integers(1, 200))
def test_a_nanodet_box_does_not_depend_on_the_boxes_beside_it(seed: int, n: int) -> None:
    rng = np.random.default_rng(seed)
    logits = rng.normal(scale=3, size=(n, 32)).astype(np.float32)
    cells = rng.integers(0, 52, (n, 2)).astype(np.float32)
    strides = rng.choice([8, 16, 32, 64], n).astype(np.float32)
    some = rng.random(n) < 0.5
    boxes = decode_nanodet(logits, cells, strides, 0.5)
    alone = decode_nanodet(logits[some], cells[some], strides[some], 0.5)
    np.testing.assert_array_equal(boxes[some], alone)


def test_yolox_boxes_grow_with_the_stride() -> None:
    regression = np.array([[0.5, 0.25, np.log(2), 0]], np.float32)
    boxes = decode_yolox(regression, np.array([[3, 1]], np.float32), np.array([8], np.float32))
    np.testing.assert_allclose(boxes, [[20, 6, 36, 14]], atol=1e-4)


@given(st.integers(0, 1000), st.integers(0, 40), st.floats(0.1, 0.9), st.integers(1, 50))
def test_suppression_equals_the_textbook_loop(
    seed: int, n: int, threshold: float, max_targets: int
) -> None:
    boxes = random_boxes(seed, n)
    class_ids = np.random.default_rng(seed).integers(0, 3, n)
    kept: list[int] = []
    for i in range(n):
        rivals = [k for k in kept if class_ids[k] == class_ids[i]]
        if all(iou(boxes[i], boxes[k]) <= threshold for k in rivals):
            kept.append(i)
    assert suppress(boxes, class_ids, threshold, max_targets).tolist() == kept[:max_targets]


@given(hnp.arrays(np.float32, st.integers(0, 50), elements=st.floats(0, 1, width=32)))
def test_selection_is_sorted_and_keeps_ties_in_order(scores: Floats) -> None:
    class_ids = np.arange(len(scores), dtype=np.int32) % 3
    expected = sorted(
        (i for i, score in enumerate(scores) if score >= 0.5 and i % 3 != 1),
        key=lambda i: (-scores[i], i),
    )
    wanted = np.array([True, False, True])
    assert select(scores, class_ids, 0.5, wanted).tolist() == expected


def test_unwanted_classes_crowd_nobody_out() -> None:
    scores = np.linspace(1, 0.5, 2 * MAX_CANDIDATES).astype(np.float32)
    class_ids = (np.arange(len(scores)) >= MAX_CANDIDATES).astype(np.int32)
    keep = select(scores, class_ids, 0.1, np.array([False, True]))
    assert keep.tolist() == list(range(MAX_CANDIDATES, 2 * MAX_CANDIDATES))


def test_letterbox_keeps_the_aspect_ratio_and_pads_below() -> None:
    options = InputOptions(width=64, height=64, resize="letterbox", pad_value=7)
    shape = SourceShape(200, 100)
    assert options.fit.scaled_size(shape) == (64, 32)
    out = fit(np.full((100, 200, 3), 50, np.uint8), options.fit, shape)
    assert (out[:32] == 50).all()
    assert (out[32:] == 7).all()


def test_boxes_come_back_in_source_pixels_and_are_clipped() -> None:
    options = InputOptions(width=100, height=50)
    boxes = np.array([[-5, 10, 50, 60], [10, 10, 200, 20]], np.float32)
    back = geometry(options.fit, SourceShape(200, 200)).to_source(boxes)
    np.testing.assert_allclose(back, [[0, 40, 100, 200], [20, 40, 200, 80]])


def test_crops_stay_inside_and_are_never_empty() -> None:
    image = np.arange(10 * 20 * 3, dtype=np.uint8).reshape(10, 20, 3)
    boxes = [[2.2, 3.7, 5.1, 6.0], [-3, -3, 400, 400], [20, 10, 20, 10], [7, 7, 7, 7]]
    shapes = [crop.shape[:2] for crop in crops(image, np.array(boxes, np.float32))]
    assert shapes == [(3, 4), (10, 20), (1, 1), (1, 1)]
