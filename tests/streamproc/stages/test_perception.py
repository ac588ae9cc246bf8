"""Perception: which step works on which target, on models that stand in for real ones."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pytest

from models.sizes import InputFit, SourceShape
from models.types import Detections, Floats, Image, TextLine
from streamproc.contract.task_spec import When
from streamproc.stages.perception import DetectStep, FeatureStep, Plan, ReadStep, View, perceive

SIZE = SourceShape(200, 100)
FULL = np.zeros((100, 200, 3), np.uint8)
SCALED = np.zeros((32, 32, 3), np.uint8)
NAMES = ("pedestrian", "automobile")


class BoxModel:
    """Always sees the same boxes; remembers which pictures it was given."""

    fit = InputFit(32, 32)

    def __init__(self, rows: list[tuple[int, float]]) -> None:
        self.rows = rows
        self.shapes: list[tuple[int, ...]] = []
        self.prepared: list[SourceShape] = []

    def is_ready(self, source: SourceShape, parameters: Mapping[str, Any]) -> bool:
        return source in self.prepared

    def prepare(self, source: SourceShape, parameters: Mapping[str, Any]) -> None:
        self.prepared.append(source)

    def detect(
        self,
        image_bgr: Image,
        parameters: Mapping[str, Any],
        source: SourceShape | None = None,
        *,
        is_fitted: bool = False,
        full: Image | None = None,
    ) -> Detections:
        self.shapes.append(image_bgr.shape)
        n = len(self.rows)
        boxes = np.array([[10 * i, 0, 10 * i + 8, 20] for i in range(n)], np.float32)
        return Detections(
            boxes.reshape(n, 4),
            np.array([score for _, score in self.rows], np.float32),
            np.array([class_id for class_id, _ in self.rows], np.int32),
        )


class WordModel:
    """Reads one word per crop, and two lines in a whole picture."""

    def __init__(self) -> None:
        self.crops: list[Floats] = []

    def read(
        self,
        image_bgr: Image,
        boxes_px: Floats | None = None,
        parameters: Mapping[str, Any] | None = None,
    ) -> list[list[TextLine]]:
        quad = np.array([[1, 2], [30, 2], [30, 12], [1, 12]], np.float32)
        if boxes_px is None:
            return [[TextLine("NO", 0.9, quad), TextLine("PARKING", 0.8, quad + 20)]]
        self.crops.append(boxes_px)
        return [[TextLine("A1", 0.9, quad), TextLine("B2", 0.7, quad)] for _ in boxes_px]


class LengthModel:
    """A feature that tells the box's left side."""

    dimensions = 4

    def __init__(self) -> None:
        self.n_vectors = 0

    def pictures(self, image_bgr: Image, boxes_px: Floats) -> list[Image]:
        return [np.full((1, 1, 3), box[0] + 1, np.uint8) for box in boxes_px]

    def vectors(self, images: Sequence[Image]) -> Floats:
        self.n_vectors += len(images)
        return np.array([[image[0, 0, 0]] * 4 for image in images], np.float32).reshape(-1, 4)


def plan_of(*steps: Any, names: tuple[str, ...] = NAMES) -> Plan:
    return Plan(steps, names, 0.5)


def detect(model: BoxModel, when: When | None = None) -> DetectStep:
    return DetectStep(model, {}, np.arange(len(NAMES), dtype=np.int32), when)


def test_the_first_detector_gets_the_scaled_picture() -> None:
    model = BoxModel([(0, 0.9)])
    plan = plan_of(detect(model))
    assert not plan.needs_full
    perceive(View(None, SCALED, SIZE), plan)
    assert model.shapes == [(32, 32, 3)]


def test_a_step_works_on_targets_for_which_all_conditions_hold() -> None:
    words = WordModel()
    when = When(class_is=("automobile",), min_confidence=0.7)
    plan = plan_of(detect(BoxModel([(0, 0.9), (1, 0.9), (1, 0.6)])), ReadStep(words, {}, when))
    assert plan.needs_full
    seen = perceive(View(FULL, SCALED, SIZE), plan)
    texts: dict[int, tuple[str, object]] = {1: ("A1 B2", pytest.approx(0.7))}
    assert seen.texts == texts
    assert len(seen) == 3
    np.testing.assert_array_equal(words.crops[0], [[10, 0, 18, 20]])


def test_features_are_nan_where_none_was_extracted() -> None:
    plan = plan_of(
        detect(BoxModel([(0, 0.9), (1, 0.9)])),
        FeatureStep(LengthModel(), {}, When(class_is=("pedestrian",))),
    )
    seen = perceive(View(FULL, SCALED, SIZE), plan)
    assert seen.features is not None
    np.testing.assert_array_equal(seen.features[0], [1, 1, 1, 1])
    assert np.isnan(seen.features[1]).all()


def test_weak_targets_get_their_feature_later_and_teach_no_appearance() -> None:
    lengths = LengthModel()
    plan = plan_of(detect(BoxModel([(0, 0.9), (0, 0.2), (0, 0.1)])), FeatureStep(lengths, {}))
    seen = perceive(View(FULL, SCALED, SIZE), plan)
    assert lengths.n_vectors == 1
    seen.extract_late(np.array([True, True, False]))
    assert lengths.n_vectors == 2
    assert seen.features is not None
    assert seen.features[:2].tolist() == [[1] * 4, [11] * 4]
    assert np.isnan(seen.features[2]).all()
    appearances = seen.appearances(plan.threshold)
    assert appearances is not None
    assert np.isnan(appearances[:, 0]).tolist() == [False, True, True]


def test_text_without_detection_makes_targets_of_its_own() -> None:
    seen = perceive(View(FULL, None, SIZE), plan_of(ReadStep(WordModel(), {}), names=("text",)))
    assert [text for text, _ in seen.texts.values()] == ["NO", "PARKING"]
    np.testing.assert_array_equal(seen.boxes_px[1], [21, 22, 50, 32])


def test_a_second_detector_adds_targets_and_keeps_what_is_known_of_the_first() -> None:
    plan = plan_of(
        detect(BoxModel([(0, 0.9)])),
        FeatureStep(LengthModel(), {}),
        detect(BoxModel([(1, 0.8)])),
    )
    seen = perceive(View(FULL, SCALED, SIZE), plan)
    assert seen.class_ids.tolist() == [0, 1]
    assert seen.features is not None
    assert np.isnan(seen.features[:, 0]).tolist() == [False, True]


def test_a_detector_whose_condition_no_target_meets_does_not_run() -> None:
    second = BoxModel([(1, 0.8)])
    plan = plan_of(detect(BoxModel([(0, 0.9)])), detect(second, When(class_is=("automobile",))))
    assert len(perceive(View(FULL, SCALED, SIZE), plan)) == 1
    assert second.shapes == []


def test_a_missing_picture_is_an_error_and_not_a_guess() -> None:
    plan = plan_of(detect(BoxModel([(0, 0.9)])), FeatureStep(LengthModel(), {}))
    with pytest.raises(ValueError, match="picture"):
        perceive(View(None, SCALED, SIZE), plan)


def test_a_second_look_needs_the_whole_frame() -> None:
    model = BoxModel([(0, 0.9)])
    fine = DetectStep(model, {"detail": "fine"}, np.arange(len(NAMES), dtype=np.int32))
    assert plan_of(fine).needs_full
    assert not plan_of(DetectStep(model, {"detail": "normal"}, fine.class_ids)).needs_full


def test_a_class_has_a_threshold_of_its_own() -> None:
    """For the tracker all classes have the plan's threshold, .5; what clients see is as it was."""
    rows = [(0, 0.5), (0, 0.65), (0, 0.9), (1, 0.29), (1, 0.3), (1, 0.05), (0, 0.12)]
    step = DetectStep(
        BoxModel(rows),
        {"low_threshold": 0.1},
        np.arange(len(NAMES), dtype=np.int32),
        thresholds=np.array([0.65, 0.3], np.float32),
    )
    seen = perceive(View(FULL, SCALED, SIZE), plan_of(step))
    assert seen.scores.tolist() == pytest.approx([0.5, 0.65, 0.9, 0.29, 0.3])
    even = seen.track_scores
    assert (even >= 0.5).tolist() == [False, True, True, False, True]
    assert even[1] == even[4] == pytest.approx(0.5)
    assert even[2] == pytest.approx(0.5 + 0.25 / 0.35 * 0.5)
    assert even[3] == pytest.approx(0.29 / 0.3 * 0.5)


def test_steps_with_and_without_thresholds_are_joined() -> None:
    own = DetectStep(
        BoxModel([(0, 0.4)]),
        {"low_threshold": 0.1},
        np.arange(len(NAMES), dtype=np.int32),
        thresholds=np.array([0.4, 0.5], np.float32),
    )
    seen = perceive(View(FULL, SCALED, SIZE), plan_of(own, detect(BoxModel([(1, 0.7)]))))
    assert seen.scores.tolist() == pytest.approx([0.4, 0.7])
    assert seen.track_scores.tolist() == pytest.approx([0.5, 0.7])


def test_a_plan_is_ready_for_a_shape_once_each_of_its_detectors_is() -> None:
    first, second = BoxModel([]), BoxModel([])
    plan = Plan((detect(first), detect(second)), NAMES, 0.5)
    first.prepare(SIZE, {})
    assert not plan.is_ready(SIZE)
    plan.prepare(SIZE)
    assert plan.is_ready(SIZE)
    assert (first.prepared, second.prepared) == ([SIZE], [SIZE])
    assert Plan((), (), 0.5).is_ready(SIZE)
