"""Limits of place and size, and one suppression over two looks."""

from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.detector import Detector
from models.parameters import validate_parameters
from models.preprocess import fit
from models.selection import in_polygon, merged, within
from models.sizes import SourceShape
from models.types import Detections, Image
from tests.models.boxes import iou
from tests.models.test_detector import same

POINT = st.tuples(st.integers(0, 40), st.integers(0, 40))


@given(st.lists(POINT, min_size=3, max_size=9, unique=True), st.lists(POINT, min_size=1))
def test_what_is_inside_is_what_opencv_says(
    corners: list[tuple[int, int]], points: list[tuple[int, int]]
) -> None:
    """Points are moved by a quarter: none is on an edge, where either answer would do."""
    moved = np.add(np.array(points, float), [0.25, 0.2371])
    polygon = np.array(corners, np.float32)
    expected = [cv2.pointPolygonTest(polygon, (float(x), float(y)), True) for x, y in moved]
    found = in_polygon(moved, polygon.astype(float))
    for inside, distance in zip(found.tolist(), expected, strict=True):
        if abs(distance) > 1e-3 and _is_simple(corners):
            assert inside == (distance > 0)


def _is_simple(corners: list[tuple[int, int]]) -> bool:
    """Whether the polygon is its own hull: of others OpenCV and the even-odd rule may differ."""
    hull = cv2.convexHull(np.array(corners, np.float32))
    area = cv2.contourArea(np.array(corners, np.float32))
    return bool(abs(cv2.contourArea(hull) - area) < 1e-3)


def test_a_notch_is_outside() -> None:
    notched = np.array([[0, 0], [10, 0], [10, 10], [5, 4], [0, 10]], float)
    points = np.array([[5, 8], [5, 2], [1, 8], [9, 8], [11, 1]], float)
    assert in_polygon(points, notched).tolist() == [False, True, True, True, False]


def test_sizes_are_of_the_longer_side() -> None:
    boxes = np.array([[0, 0, 10, 4], [0, 0, 4, 20], [0, 0, 50, 50]], np.float32)
    assert within(boxes, {"min_size": 10, "max_size": 20}).tolist() == [True, True, False]
    assert within(boxes, {"min_size": 11, "max_size": None}).tolist() == [False, True, True]
    assert within(boxes[:0], {"min_size": 11, "roi": [[0, 0], [9, 0], [9, 9]]}).tolist() == []


def test_two_looks_are_one_list_and_the_weaker_of_two_boxes_goes() -> None:
    near = Detections(
        np.array([[0, 0, 10, 10], [50, 0, 60, 10]], np.float32),
        np.array([0.9, 0.4], np.float32),
        np.array([0, 0], np.int32),
    )
    far = Detections(
        np.array([[0, 0, 10, 11], [50, 0, 60, 11], [90, 0, 99, 9]], np.float32),
        np.array([0.8, 0.7, 0.6], np.float32),
        np.array([0, 0, 1], np.int32),
    )
    found = merged([near, far], {"iou_threshold": 0.5, "max_targets": 10})
    assert found.scores.tolist() == pytest.approx([0.9, 0.7, 0.6])
    assert found.class_ids.tolist() == [0, 0, 1]
    assert len(merged([near, far], {"iou_threshold": 0.5, "max_targets": 2})) == 2


def mosaic(frames: list[Image], n: int) -> Image:
    """n x n frames as one picture: everything is n times smaller in it."""
    rows = [np.hstack([frames[(i + j) % len(frames)] for j in range(n)]) for i in range(n)]
    return np.ascontiguousarray(np.vstack(rows))


def test_small_people_are_seen_in_detail(detector: Detector, street_frames: list[Image]) -> None:
    picture = mosaic(street_frames, 3)
    shape = SourceShape(picture.shape[1], picture.shape[0])
    counts = []
    for detail in ("normal", "fine", "finest"):
        parameters = validate_parameters(
            detector.manifest, {"classes": ["person"], "detail": detail, "max_targets": 1000}
        )
        found = detector.detect(picture, parameters)
        assert (np.diff(found.scores) <= 0).all()
        counts.append(int((found.scores >= 0.5).sum()))
        fitted = _fitted(picture, detector)
        again = detector.detect(fitted, parameters, shape, is_fitted=True, full=picture)
        assert same(again, found)
    assert counts[0] < counts[1] < counts[2]
    assert counts[2] > 3 * counts[0]


def test_a_small_picture_is_not_made_larger_than_it_is(
    detector: Detector, street_frames: list[Image]
) -> None:
    small = np.asarray(cv2.resize(street_frames[0], (400, 300)), np.uint8)
    normal, finest = (
        detector.detect(small, validate_parameters(detector.manifest, {"detail": detail}))
        for detail in ("normal", "finest")
    )
    assert same(normal, finest)


def test_a_second_look_without_the_frame_is_an_error(
    detector: Detector, street_frames: list[Image]
) -> None:
    parameters = validate_parameters(detector.manifest, {"detail": "fine"})
    fitted = _fitted(street_frames[0], detector)
    with pytest.raises(ValueError, match="whole frame"):
        detector.detect(fitted, parameters, SourceShape(768, 576), is_fitted=True)


def test_a_place_and_a_size_only_filter(detector: Detector, street_frames: list[Image]) -> None:
    everything = detector.detect(street_frames[0], validate_parameters(detector.manifest, {}))
    left: dict[str, Any] = {"roi": [[0, 0], [400, 0], [400, 576], [0, 576]], "min_size": 60}
    found = detector.detect(street_frames[0], validate_parameters(detector.manifest, left))
    middles = (everything.boxes_px[:, 0] + everything.boxes_px[:, 2]) / 2
    sides = (everything.boxes_px[:, 2:] - everything.boxes_px[:, :2]).max(axis=1)
    wanted = everything.boxes_px[(middles < 400) & (sides >= 60)]
    assert 0 < len(wanted) < len(everything)
    for box in wanted:
        assert max(iou(box, other) for other in found.boxes_px) > 0.999
    assert (found.boxes_px[:, [0, 2]].mean(axis=1) <= 400).all()


def _fitted(picture: Image, detector: Detector) -> Image:
    return fit(picture, detector.fit, SourceShape(picture.shape[1], picture.shape[0]))
