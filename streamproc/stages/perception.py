"""Detection, OCR and feature extraction on one frame: a pure function of frame, plan and models.

Nothing here depends on other frames, so frames may be processed in any order, on any worker. What
depends on the order (tracks, bytes) is computed by a fold afterwards.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from models.sizes import InputFit, SourceShape
from models.types import Detections, Floats, Image, Ints, TextLine
from streamproc.contract.task_spec import When

TEXT_CLASS = "text"


class DetectModel(Protocol):
    """The interface of `models.detector.Detector` that perception uses."""

    @property
    def fit(self) -> InputFit: ...

    def detect(
        self,
        image_bgr: Image,
        parameters: Mapping[str, Any],
        source: SourceShape | None = None,
        *,
        is_fitted: bool = False,
        full: Image | None = None,
    ) -> Detections: ...

    def is_ready(self, source: SourceShape, parameters: Mapping[str, Any]) -> bool: ...

    def prepare(self, source: SourceShape, parameters: Mapping[str, Any]) -> None: ...


class TextModel(Protocol):
    """The interface of `models.ocr.TextReader` that perception uses."""

    def read(
        self,
        image_bgr: Image,
        boxes_px: Floats | None = None,
        parameters: Mapping[str, Any] | None = None,
    ) -> list[list[TextLine]]: ...


class FeatureModel(Protocol):
    """The interface of `models.embedding.FeatureExtractor` that perception uses."""

    @property
    def dimensions(self) -> int: ...

    def pictures(self, image_bgr: Image, boxes_px: Floats) -> list[Image]: ...

    def vectors(self, images: Sequence[Image]) -> Floats: ...


@dataclass(frozen=True, slots=True)
class DetectStep:
    """Detection step: adds targets. `class_ids` maps the model's class ids to the plan's.

    `thresholds` are those of the model's classes, by class id; None: all as the step's threshold.
    """

    model: DetectModel
    parameters: Mapping[str, Any]
    class_ids: Ints
    when: When | None = None
    thresholds: Floats | None = None

    @property
    def sees_details(self) -> bool:
        """Whether frames are seen a second time, larger."""
        return bool(self.parameters.get("detail", "normal") != "normal")


@dataclass(frozen=True, slots=True)
class ReadStep:
    """OCR step: adds text to targets; in a plan without detect steps, text lines are targets."""

    model: TextModel
    parameters: Mapping[str, Any]
    when: When | None = None


@dataclass(frozen=True, slots=True)
class FeatureStep:
    """Appearance step: adds a feature vector to targets."""

    model: FeatureModel
    parameters: Mapping[str, Any]
    when: When | None = None


PlanStep = DetectStep | ReadStep | FeatureStep


@dataclass(frozen=True, slots=True)
class Plan:
    """The steps of a task with their models. `class_names` are indexed by the plan's class ids.

    `threshold` is the least score with which a target may start a track and update its appearance.
    """

    steps: Sequence[PlanStep]
    class_names: tuple[str, ...]
    threshold: float

    @property
    def detects(self) -> bool:
        return any(isinstance(step, DetectStep) for step in self.steps)

    @property
    def first_detector(self) -> DetectModel | None:
        """The model for whose input size the decoder scales frames; None without a detect step."""
        return next((s.model for s in self.steps if isinstance(s, DetectStep)), None)

    def is_scaled_for(self, model: DetectModel) -> bool:
        """Whether the decoder's scaled image is what `model` takes."""
        first = self.first_detector
        return first is not None and model.fit == first.fit

    def is_ready(self, shape: SourceShape) -> bool:
        """Whether a frame of this shape is perceived without compiling a network first."""
        return all(one.model.is_ready(shape, one.parameters) for one in self._detect_steps)

    def prepare(self, shape: SourceShape) -> None:
        """Compile what frames of this shape need. Raises `ModelError`."""
        for one in self._detect_steps:
            if not one.model.is_ready(shape, one.parameters):
                one.model.prepare(shape, one.parameters)

    @property
    def _detect_steps(self) -> list[DetectStep]:
        return [step for step in self.steps if isinstance(step, DetectStep)]

    @property
    def needs_full(self) -> bool:
        """Whether any step needs the full-size image."""
        return not all(
            isinstance(step, DetectStep)
            and self.is_scaled_for(step.model)
            and not step.sees_details
            for step in self.steps
        )


@dataclass(frozen=True, slots=True)
class View:
    """A decoded frame as input of the steps, and the shape of the source."""

    full: Image | None
    scaled: Image | None
    shape: SourceShape


@dataclass(slots=True)
class Perception:
    """The n targets of one frame.

    boxes_px (n, 4) float32 ltrb, scores (n,) float32, class_ids (n,) int32 of the plan,
    features (n, d) float32 with rows of NaN where none was extracted, None without such a step.
    `texts` maps the index of a target to its text and confidence. `even_scores` (n,) are the scores
    on a scale on which all classes have the plan's threshold; None: the scores are.
    `late` maps targets below the threshold to what their features are extracted from: few of them
    continue a track, and only those features are ever used (`extract_late`).
    """

    boxes_px: Floats
    scores: Floats
    class_ids: Ints
    texts: dict[int, tuple[str, float]] = field(default_factory=dict)
    features: Floats | None = None
    even_scores: Floats | None = None
    late: dict[int, tuple[FeatureModel, Image]] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.scores)

    @property
    def track_scores(self) -> Floats:
        """The scores by which tracks start and go on."""
        return self.scores if self.even_scores is None else self.even_scores

    def appearances(self, threshold: float) -> Floats | None:
        """Return the features of targets with a score of at least `threshold`; NaN for the others.

        A target with a low score is often half hidden: its features are not the object's.
        """
        if self.features is None:
            return None
        clear: Floats = np.where(
            (self.track_scores >= threshold)[:, None], self.features, np.float32(np.nan)
        )
        return clear

    def extract_late(self, chosen: npt.NDArray[np.bool_]) -> None:
        """Extract the features of these targets (n,) that were left for later."""
        places = [place for place in self.late if chosen[place]]
        if self.features is None or not places:
            return
        for model in {id(self.late[place][0]): self.late[place][0] for place in places}.values():
            its = [place for place in places if self.late[place][0] is model]
            self.features[its] = model.vectors([self.late[place][1] for place in its])


def nothing() -> Perception:
    """Return the perception of a frame without targets."""
    return Perception(np.empty((0, 4), np.float32), np.empty(0, np.float32), np.empty(0, np.int32))


def perceive(view: View, plan: Plan) -> Perception:
    """Run the plan's steps on one frame, in order; raises ValueError if an image is missing."""
    seen = nothing()
    for step in plan.steps:
        if isinstance(step, DetectStep):
            seen = _detect(view, seen, step, plan)
        elif isinstance(step, ReadStep):
            seen = _read(view, seen, step, plan)
        else:
            seen = _extract(view, seen, step, plan)
    return seen


def chosen(seen: Perception, when: When | None, plan: Plan) -> npt.NDArray[np.intp]:
    """Return the indices of the targets that meet all conditions of `when`."""
    mask = np.ones(len(seen), np.bool_)
    if when is not None:
        if when.class_is is not None:
            ids = [i for i, name in enumerate(plan.class_names) if name in when.class_is]
            mask &= np.isin(seen.class_ids, ids)
        if when.min_confidence is not None:
            mask &= seen.scores >= when.min_confidence
    return np.flatnonzero(mask)


def _detect(view: View, seen: Perception, step: DetectStep, plan: Plan) -> Perception:
    if step.when is not None and not len(chosen(seen, step.when, plan)):
        return seen
    is_fitted = view.scaled is not None and plan.is_scaled_for(step.model)
    image = view.scaled if is_fitted else view.full
    if image is None:
        raise ValueError("the frame was decoded without the picture that the detector needs")
    found = step.model.detect(
        image, step.parameters, view.shape, is_fitted=is_fitted, full=view.full
    )
    found, even = _evened(found, step, plan)
    class_ids = step.class_ids[found.class_ids]
    if not len(seen):
        return Perception(
            found.boxes_px, found.scores, class_ids, features=seen.features, even_scores=even
        )
    joined = Perception(
        np.concatenate([seen.boxes_px, found.boxes_px]),
        np.concatenate([seen.scores, found.scores]),
        np.concatenate([seen.class_ids, class_ids]),
        texts=seen.texts,
        late=seen.late,
    )
    if even is not None or seen.even_scores is not None:
        joined.even_scores = np.concatenate(
            [seen.track_scores, found.scores if even is None else even]
        )
    if seen.features is not None:
        joined.features = np.full((len(joined), seen.features.shape[1]), np.nan, np.float32)
        joined.features[: len(seen)] = seen.features
    return joined


def _evened(found: Detections, step: DetectStep, plan: Plan) -> tuple[Detections, Floats | None]:
    """Return the detections that may continue a track, and their scores on the plan's scale.

    The scale is linear below a class's threshold and above it, and maps it to the plan's.
    """
    if step.thresholds is None:
        return found, None
    own, common = step.thresholds[found.class_ids], np.float32(plan.threshold)
    below = found.scores * (common / np.maximum(own, np.float32(1e-6)))
    above = common + (found.scores - own) * ((1 - common) / np.maximum(1 - own, np.float32(1e-6)))
    even = np.where(found.scores < own, below, above).astype(np.float32)
    keep = even >= np.float32(step.parameters["low_threshold"])
    kept = Detections(found.boxes_px[keep], found.scores[keep], found.class_ids[keep])
    return kept, even[keep]


def _read(view: View, seen: Perception, step: ReadStep, plan: Plan) -> Perception:
    if view.full is None:
        raise ValueError("the frame was decoded without the picture that the reader needs")
    if not plan.detects:
        return _read_whole(view.full, step, plan)
    places = chosen(seen, step.when, plan)
    if len(places):
        crops = step.model.read(view.full, seen.boxes_px[places], step.parameters)
        for place, lines in zip(places.tolist(), crops, strict=True):
            if lines:
                text = " ".join(line.text for line in lines)
                seen.texts[place] = (text, min(line.confidence for line in lines))
    return seen


def _read_whole(full: Image, step: ReadStep, plan: Plan) -> Perception:
    """Read the whole frame: each line of text becomes a target of the class `text`."""
    lines = step.model.read(full, None, step.parameters)[0]
    if not lines:
        return nothing()
    quads = np.stack([line.quad_px for line in lines])
    boxes = np.concatenate([quads.min(axis=1), quads.max(axis=1)], axis=1).astype(np.float32)
    text_id = plan.class_names.index(TEXT_CLASS)
    return Perception(
        boxes,
        np.array([line.confidence for line in lines], np.float32),
        np.full(len(lines), text_id, np.int32),
        texts={i: (line.text, line.confidence) for i, line in enumerate(lines)},
    )


def _extract(view: View, seen: Perception, step: FeatureStep, plan: Plan) -> Perception:
    if view.full is None:
        raise ValueError("the frame was decoded without the picture that the extractor needs")
    places = chosen(seen, step.when, plan)
    if not len(places):
        return seen
    if seen.features is None:
        seen.features = np.full((len(seen), step.model.dimensions), np.nan, np.float32)
    pictures = step.model.pictures(view.full, seen.boxes_px[places])
    clear = seen.track_scores[places] >= plan.threshold
    seen.features[places[clear]] = step.model.vectors(
        [picture for picture, now in zip(pictures, clear, strict=True) if now]
    )
    for place, picture, now in zip(places.tolist(), pictures, clear, strict=True):
        if not now:
            seen.late[place] = (step.model, picture)
    return seen
