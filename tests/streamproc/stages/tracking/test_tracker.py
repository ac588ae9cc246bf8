import msgspec
import numpy as np
import pytest

from streamproc.stages.tracking.parameters import TrackParameters
from streamproc.stages.tracking.tracker import Tracker
from tests.streamproc.stages.scenes import IMAGE_SIZE, Frame, shown, walk

VEHICLES = (2, 5, 7)
PERSON = (200.0, 200.0, 40.0, 100.0)


def make_tracker(**parameters: object) -> Tracker:
    return Tracker(msgspec.structs.replace(TrackParameters(), **parameters))


def test_a_single_frame_with_a_clear_object_gives_id_1() -> None:
    assert shown(make_tracker(), [Frame(0.0, [PERSON], [0.65])]) == [[1]]


def test_a_later_object_of_middling_score_waits_until_it_has_lasted() -> None:
    frames = [Frame(0.0)] + [Frame(k / 10, [PERSON], [0.65]) for k in range(1, 5)]
    assert shown(make_tracker(), frames) == [[], [0], [0], [1], [1]]


def test_a_later_object_of_high_score_has_an_id_at_once() -> None:
    assert shown(make_tracker(), [Frame(0.0), Frame(0.1, [PERSON], [0.9])]) == [[], [1]]


def test_at_one_frame_per_second_the_second_detection_confirms() -> None:
    frames = [Frame(0.0), Frame(1.0, [PERSON], [0.65]), Frame(2.0, [PERSON], [0.65])]
    assert shown(make_tracker(), frames) == [[], [0], [1]]


def test_one_flicker_gets_no_id() -> None:
    frames = [Frame(0.0), Frame(0.1, [PERSON], [0.65]), Frame(0.2), Frame(0.3, [PERSON], [0.65])]
    assert shown(make_tracker(), frames) == [[], [0], [], [0]]


@pytest.mark.parametrize("fps", [30.0, 10.0, 5.0, 2.0, 1.0])
def test_people_who_walk_keep_their_ids_at_every_frame_rate(fps: float) -> None:
    n = max(int(4 * fps), 5)
    frames = walk(n, fps, [(60, 150), (700, 400)], [70.0, -70.0])
    assert shown(make_tracker(), frames) == [[1, 2]] * n


def test_people_who_cross_keep_their_ids() -> None:
    frames = walk(60, 10.0, [(100, 300), (500, 310)], [70.0, -70.0])
    for frame in frames:
        (left, right) = frame.boxes
        if abs(left[0] - right[0]) < 25:  # the one behind is not seen
            frame.boxes = [left]
    ids = shown(make_tracker(), frames)
    assert ids[0] == ids[-1] == [1, 2]
    assert {tuple(frame) for frame in ids} == {(1, 2), (1,)}


def test_frames_at_uneven_times_follow_the_same_motion() -> None:
    times_s = np.cumsum([0.0, 0.03, 0.2, 0.01, 0.5, 0.04, 0.4, 0.03, 0.03, 0.7])
    frames = [Frame(t, [(100 + 120 * t, 300, 40, 100)]) for t in times_s.tolist()]
    assert shown(make_tracker(), frames) == [[1]] * len(frames)


def test_low_detections_continue_a_track_but_start_none() -> None:
    other = (500.0, 200.0, 40.0, 100.0)
    frames = [Frame(0.0, [PERSON])] + [
        Frame(k / 10, [PERSON, other], [0.45, 0.45]) for k in range(1, 6)
    ]
    assert shown(make_tracker(), frames) == [[1]] + [[1, 0]] * 5


@pytest.mark.parametrize(("away_s", "expected"), [(1.5, 1), (3.0, 2)])
def test_an_object_away_for_too_long_comes_back_as_another(away_s: float, expected: int) -> None:
    frames = [Frame(k / 10, [PERSON]) for k in range(10)]
    frames += [Frame(1.0 + k / 10) for k in range(round(away_s * 10))]
    frames += [Frame(1.0 + away_s, [PERSON])]
    assert shown(make_tracker(), frames)[-1] == [expected]


@pytest.mark.parametrize(("missed", "expected"), [(2, 1), (3, 2)])
def test_at_one_frame_per_second_two_misses_are_forgiven(missed: int, expected: int) -> None:
    frames = [Frame(0.0, [PERSON]), Frame(1.0, [PERSON])]
    frames += [Frame(2.0 + k) for k in range(missed)] + [Frame(2.0 + missed, [PERSON])]
    assert shown(make_tracker(), frames)[-1] == [expected]


def test_a_huge_gap_ends_every_track() -> None:
    frames = [Frame(0.0, [PERSON]), Frame(3600.0, [PERSON]), Frame(3610.0, [PERSON])]
    assert shown(make_tracker(), frames) == [[1], [2], [2]]


def test_an_unseen_object_that_left_the_picture_is_forgotten() -> None:
    frames = walk(20, 10.0, [(650, 300)], [100.0])
    frames = [frame for frame in frames if frame.boxes[0][0] < 765]
    end_s = frames[-1].time_s
    frames += [Frame(end_s + 0.1 * k) for k in range(1, 6)]
    frames += [Frame(end_s + 0.6, [(740, 300, 40, 100)])]
    assert shown(make_tracker(), frames)[-1] == [2]


def test_nothing_for_a_long_time_leaves_no_state_behind() -> None:
    tracker = make_tracker()
    shown(tracker, walk(20, 10.0, [(60, 150), (700, 400)], [70.0, -70.0]))
    for index in range(20, 400):
        Frame(index / 10).shown_to(tracker, index)
    columns = tracker.state().columns
    assert {packed.shape[0] for packed in columns.values()} == {0}
    assert Frame(41.0, [PERSON]).shown_to(tracker, 410).tolist() == [3]


def test_boxes_without_area_or_with_nan_are_left_out() -> None:
    tracker = make_tracker()
    boxes = np.array([[1, 1, 1, 9], [9, 1, 1, 9], [np.nan] * 4, [5, 5, 50, 90]], np.float32)
    scores = np.array([0.9, 0.9, 0.9, np.nan], np.float32)
    ids = tracker.update(boxes, scores, np.zeros(4, np.int32), None, 0.0, 0, IMAGE_SIZE)
    assert ids.tolist() == [0, 0, 0, 0]
    assert Frame(0.1, [PERSON]).shown_to(tracker, 1).tolist() == [1]


def test_time_that_goes_back_stands_still() -> None:
    frames = [Frame(1.0, [PERSON]), Frame(0.5, [PERSON]), Frame(1.1, [PERSON])]
    assert shown(make_tracker(), frames) == [[1], [1], [1]]


def test_frames_that_go_back_times_that_are_not_finite_and_wrong_shapes_are_refused() -> None:
    tracker = make_tracker()
    Frame(0.0, [PERSON]).shown_to(tracker, 5)
    with pytest.raises(ValueError, match="frame 4 after frame 5"):
        Frame(0.1, [PERSON]).shown_to(tracker, 4)
    with pytest.raises(ValueError, match="time_s is nan"):
        Frame(float("nan"), [PERSON]).shown_to(tracker, 6)
    with pytest.raises(ValueError, match="boxes"):
        tracker.update(
            np.zeros((2, 4), np.float32),
            np.zeros(1, np.float32),
            np.zeros(2, np.int32),
            None,
            1.0,
            7,
            IMAGE_SIZE,
        )


def test_a_vehicle_keeps_its_class_unless_clearly_outvoted() -> None:
    tracker = make_tracker(class_groups=(VEHICLES,))
    seen = [2, 2, 2, 7, 2, 7, 7, *[7] * 20]
    reported = []
    for index, class_id in enumerate(seen):
        ids = Frame(index / 10, [(300, 300, 120, 80)], [0.8], [class_id]).shown_to(tracker, index)
        assert ids.tolist() == [1]
        reported.append(tracker.track_class(1))
    assert reported[:7] == [2] * 7
    assert reported[-1] == 7
    assert reported == sorted(reported)


def test_one_vehicle_detected_as_two_classes_is_one_track() -> None:
    tracker = make_tracker(class_groups=(VEHICLES,))
    box = (300.0, 300.0, 120.0, 80.0)
    frames = [Frame(k / 10, [box, box], [0.9, 0.85], [2, 7]) for k in range(5)]
    assert shown(tracker, frames) == [[1, 0]] * 5


def test_classes_of_different_groups_never_share_a_track() -> None:
    tracker = make_tracker(class_groups=(VEHICLES,))
    frames = [Frame(k / 10, [PERSON], classes=[0 if k < 5 else 2]) for k in range(10)]
    assert shown(tracker, frames) == [[1]] * 5 + [[2]] * 5


def test_a_class_in_two_groups_is_refused() -> None:
    with pytest.raises(ValueError, match="two groups"):
        make_tracker(class_groups=((1, 2), (2, 3)))


def test_an_unknown_id_has_no_class() -> None:
    tracker = make_tracker()
    Frame(0.0, [PERSON]).shown_to(tracker, 0)
    assert tracker.track_class(1) == 0
    for unknown in (0, 2):
        with pytest.raises(KeyError):
            tracker.track_class(unknown)


def test_appearance_tells_two_people_apart_who_swap_places_between_frames() -> None:
    red, blue = np.eye(2, 8, dtype=np.float32) * 14
    places = [(300.0, 300.0, 40.0, 100.0), (340.0, 300.0, 40.0, 100.0)]
    looks = np.array([red, blue])
    frames = [Frame(float(k), places, features=looks) for k in range(4)]
    swapped = Frame(4.0, places, features=looks[::-1])
    blind = Frame(4.0, places, features=np.full((2, 8), np.nan, np.float32))
    assert shown(make_tracker(), [*frames, swapped])[-1] == [2, 1]
    assert shown(make_tracker(), [*frames, blind])[-1] == [1, 2]
    assert shown(make_tracker(appearance_weight=0.0), [*frames, swapped])[-1] == [1, 2]


def test_features_of_another_length_are_refused() -> None:
    tracker = make_tracker()
    Frame(0.0, [PERSON], features=np.ones((1, 8), np.float32)).shown_to(tracker, 0)
    with pytest.raises(ValueError, match="9 numbers, earlier ones 8"):
        Frame(0.1, [PERSON], features=np.ones((1, 9), np.float32)).shown_to(tracker, 1)


def test_parameters_keep_their_distance_from_the_detectors_threshold() -> None:
    assert TrackParameters.for_detector(0.5, 0.25) == TrackParameters()
    strict = TrackParameters.for_detector(0.9, 0.95)
    assert (strict.low_threshold, strict.birth_threshold, strict.instant_threshold) == (0.9, 1, 1)
