"""From arrays to targets: whole pixels inside the frame, ids, digests, vectors."""

import base64

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from msgspec import UNSET

from streamproc.stages.perception import Perception
from streamproc.stages.targets import NEW_BEST, best_vectors, roi, targets

SIZE = (64, 48)
COORDINATE = st.floats(-20, 90, width=32)


def seen(
    scores: list[float], *, features: np.ndarray | None = None, text: str | None = None
) -> Perception:
    n = len(scores)
    boxes = np.array([[i, i, i + 5.5, i + 6.5] for i in range(n)], np.float32).reshape(n, 4)
    texts = {} if text is None else {0: (text, 0.87654)}
    return Perception(boxes, np.array(scores, np.float32), np.zeros(n, np.int32), texts, features)


@given(COORDINATE, COORDINATE, COORDINATE, COORDINATE)
def test_a_roi_lies_in_the_frame_and_has_an_area(
    left: float, top: float, right: float, bottom: float
) -> None:
    box = roi(np.array([left, top, right, bottom], np.float32), SIZE)
    assert 0 <= box.left < box.left + box.width <= SIZE[0]
    assert 0 <= box.top < box.top + box.height <= SIZE[1]


def test_a_box_inside_is_widened_to_whole_pixels() -> None:
    box = roi(np.array([3.4, 4.6, 10.2, 12.0], np.float32), SIZE)
    assert (box.left, box.top, box.width, box.height) == (3, 4, 8, 8)


def test_only_confirmed_tracks_are_shown_in_the_order_of_their_ids() -> None:
    shown = targets(
        seen([0.912345, 0.8, 0.7]),
        np.array([7, 0, 3], np.int32),
        SIZE,
        lambda track_id: f"class-{track_id}",
        include_vector=False,
    )
    assert [(t.track_id, t.class_name) for t in shown] == [(3, "class-3"), (7, "class-7")]
    assert shown[1].confidence == 0.9123
    assert shown[0].feature_digest is UNSET


def test_vectors_are_base64_of_little_endian_halves_when_asked_for() -> None:
    features = np.array([[3.0, 4.0]], np.float32)
    (target,) = targets(
        seen([0.9], features=features, text="PARKING"),
        np.array([1], np.int32),
        SIZE,
        lambda _: "sign",
        include_vector=True,
    )
    assert target.text == "PARKING"
    assert target.text_confidence == 0.8765
    assert target.feature_digest == "dim=2;norm=5.0000"
    assert isinstance(target.feature, str)
    decoded = np.frombuffer(base64.b64decode(target.feature), "<f2")
    assert decoded.tolist() == [3.0, 4.0]


def test_a_tracks_vector_is_sent_again_only_when_it_was_seen_better() -> None:
    features = np.array([[1.0, 0.0]], np.float32)
    ids = np.array([5], np.int32)
    best: dict[int, float] = {}
    sent = [
        len(best_vectors(seen([score], features=features), ids, best))
        for score in (0.5, 0.5 + NEW_BEST / 2, 0.6, 0.55)
    ]
    assert sent == [1, 0, 1, 0]
    assert best == {5: 0.6}


def test_a_target_without_feature_sends_no_vector() -> None:
    features = np.full((1, 2), np.nan, np.float32)
    assert best_vectors(seen([0.9], features=features), np.array([1], np.int32), {}) == []
