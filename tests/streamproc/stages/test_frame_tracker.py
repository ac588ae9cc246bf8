"""One function from perceptions to results, for all engines: what is extracted and given back."""

import pytest
from msgspec import UNSET

from models.sizes import SourceShape
from streamproc.stages.frame_tracker import FrameTracker, perceive_and_release
from streamproc.stages.perception import FeatureStep, Perception, Plan, View, perceive
from streamproc.stages.tracking.parameters import TrackParameters
from tests.streamproc.stages.test_perception import (
    FULL,
    NAMES,
    SCALED,
    BoxModel,
    LengthModel,
    detect,
)

SHAPE = SourceShape(200, 100)
SIZE = (200, 100)


def tracker(state: FrameTracker | None = None) -> FrameTracker:
    return FrameTracker(
        Plan((), NAMES, 0.5),
        TrackParameters.for_detector(0.5, 0.2),
        include_vector=False,
        state=None if state is None else state.state(),
        best=None if state is None else state.best,
    )


def seen(lengths: LengthModel, *scores: float) -> Perception:
    """Pedestrians side by side, with features."""
    rows = [(0, score) for score in scores]
    plan = Plan((detect(BoxModel(rows)), FeatureStep(lengths, {})), NAMES, 0.5)
    return perceive(View(FULL, SCALED, SHAPE), plan)


def test_only_weak_targets_that_continue_a_track_cost_a_feature() -> None:
    lengths, tracked = LengthModel(), tracker()
    first = tracked.track(seen(lengths, 0.9), 0.0, 0, SIZE)
    assert [one.feature_digest for one in first.targets] == ["dim=4;norm=2.0000"]
    assert lengths.n_vectors == 1
    second = tracked.track(seen(lengths, 0.3, 0.3, 0.3), 0.1, 1, SIZE)
    assert [one.feature_digest for one in second.targets] == ["dim=4;norm=2.0000"]
    assert second.newest_id == first.newest_id == 1
    assert lengths.n_vectors == 2


def test_a_vector_is_sent_for_a_better_sight_also_after_a_restart() -> None:
    lengths, tracked = LengthModel(), tracker()
    sent = []
    for index, score in enumerate((0.8, 0.81, 0.9)):
        sent.append(len(tracked.track(seen(lengths, score), 0.1 * index, index, SIZE).vectors))
        tracked = tracker(tracked)
    assert sent == [1, 0, 1]


def test_confidences_of_tracks_that_ended_are_forgotten() -> None:
    tracked = tracker()
    tracked.track(seen(LengthModel(), 0.9), 0.0, 0, SIZE)
    assert list(tracked.best) == [1]
    for index in range(1, 5):
        tracked.track(seen(LengthModel()), 60.0 * index, index, SIZE)
    assert tracked.best == {}


def test_without_a_feature_step_there_is_no_digest() -> None:
    plan = Plan((detect(BoxModel([(1, 0.9)])),), NAMES, 0.5)
    (target,) = tracker().track(perceive(View(FULL, SCALED, SHAPE), plan), 0, 0, SIZE).targets
    assert (target.class_name, target.feature_digest) == ("automobile", UNSET)


def test_a_frame_is_given_back_also_when_perception_fails() -> None:
    released = []
    plan = Plan((detect(BoxModel([(0, 0.9)])), FeatureStep(LengthModel(), {})), NAMES, 0.5)
    perceive_and_release(View(FULL, SCALED, SHAPE), plan, lambda: released.append(1))
    with pytest.raises(ValueError, match="without the picture"):
        perceive_and_release(View(None, SCALED, SHAPE), plan, lambda: released.append(2))
    assert released == [1, 2]
