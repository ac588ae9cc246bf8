"""A tracker that follows a log goes on like the one that wrote it, and gives no id twice."""

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streamproc.stages.tracking.kalman import corner_form
from streamproc.stages.tracking.replay import LoggedFrame, replayed
from streamproc.stages.tracking.state import TrackerState, TrackTable
from streamproc.stages.tracking.tracker import Tracker
from tests.streamproc.stages.scenes import IMAGE_SIZE, Frame, walk
from tests.streamproc.stages.test_track_properties import PARAMETERS, clips


def logged(tracker: Tracker, frame: Frame, index: int) -> LoggedFrame:
    """Show a frame to a tracker; return what its log says: whole pixels, and the track's class."""
    ids = frame.shown_to(tracker, index)
    shown = ids > 0
    boxes = frame.boxes_px[shown]
    whole = np.hstack([np.floor(boxes[:, :2]), np.ceil(boxes[:, 2:])]).astype(np.float32)
    classes = tracker.track_classes()
    scores = np.array(frame.scores or [0.9] * len(frame.boxes), np.float32)
    return LoggedFrame(
        index,
        frame.time_s,
        ids[shown],
        np.array([classes[one] for one in ids[shown].tolist()], np.int32),
        whole,
        scores[shown],
        IMAGE_SIZE,
    )


def table(state: TrackerState) -> TrackTable:
    found = TrackTable.unpacked(state.columns, 3)
    return found.rows(found.ids > 0)


def centres(found: TrackTable) -> dict[int, tuple[float, float]]:
    return {
        int(one): (row[0, 0], row[0, 1])
        for one, row in zip(found.ids, found.kinematics, strict=True)
    }


@settings(max_examples=60, deadline=None)
@given(clips(), st.data())
def test_a_log_leads_to_the_tracks_that_wrote_it(clip: list[Frame], data: st.DataObject) -> None:
    cut = data.draw(st.integers(0, len(clip) - 1))
    writer = Tracker(PARAMETERS)
    log = []
    checkpoint = None
    for index, frame in enumerate(clip):
        log.append(logged(writer, frame, index))
        checkpoint = writer.state() if index == cut else checkpoint
    written = writer.state()
    found = replayed(PARAMETERS, checkpoint, log)
    assert found.next_id == written.next_id
    assert (found.last_time_s, found.last_frame_index) == (
        written.last_time_s,
        written.last_frame_index,
    )
    wrote, followed = table(written), table(found)
    placed, again = centres(wrote), centres(followed)
    seen = {int(one) for one, missed in zip(wrote.ids, wrote.missed, strict=True) if not missed}
    assert seen <= set(again) <= {int(one) for frame in log for one in frame.ids}
    assert written.last_time_s is not None
    unseen_s = written.last_time_s - followed.last_seen_s
    forgotten = (unseen_s > PARAMETERS.max_unseen_s) & (
        followed.missed > PARAMETERS.min_unseen_frames
    )
    assert not forgotten.any()
    for one in seen:
        assert (
            math.dist(placed[one], again[one]) < 12.0
        )  # what was seen while tentative is not in a log
    assert (
        dict(zip(wrote.ids.tolist(), wrote.classes.tolist(), strict=True)).items()
        >= {
            key: value
            for key, value in zip(followed.ids.tolist(), followed.classes.tolist(), strict=True)
            if key in placed
        }.items()
    )


def test_objects_keep_their_ids_after_a_replay_without_a_checkpoint() -> None:
    people = walk(20, 5.0, [(100, 200), (500, 300)], [30.0, -40.0])
    writer = Tracker(PARAMETERS)
    log = [logged(writer, frame, index) for index, frame in enumerate(people[:12])]
    reader = Tracker(PARAMETERS, replayed(PARAMETERS, None, log))
    for index, frame in enumerate(people[12:], 12):
        expected = frame.shown_to(writer, index).tolist()
        assert frame.shown_to(reader, index).tolist() == expected == [1, 2]


def test_an_id_that_only_the_log_knows_is_not_given_again() -> None:
    writer = Tracker(PARAMETERS)
    person = [(100.0, 200.0, 40.0, 100.0)]
    log = [logged(writer, Frame(0.0, person), 0)]
    checkpoint = writer.state()
    both = [*person, (400.0, 200.0, 40.0, 100.0)]
    log.append(logged(writer, Frame(0.2, both), 1))
    log.append(logged(writer, Frame(100.0, person), 2))
    found = replayed(PARAMETERS, checkpoint, log)
    assert table(found).ids.tolist() == [3]
    reader = Tracker(PARAMETERS, found)
    far = [(650.0, 500.0, 40.0, 100.0)]
    assert Frame(100.2, far).shown_to(reader, 3).tolist() == [4]


def test_a_replay_follows_another_size() -> None:
    person = [(100.0, 200.0, 40.0, 100.0)]
    writer = Tracker(PARAMETERS)
    log = [logged(writer, Frame(index / 5, person), index) for index in range(5)]
    twice = (2 * IMAGE_SIZE[0], 2 * IMAGE_SIZE[1])
    larger = replace(log[-1], frame_index=5, boxes_px=2 * log[-1].boxes_px, image_size=twice)
    found = replayed(PARAMETERS, writer.state(), [larger], IMAGE_SIZE)
    assert table(found).kinematics[0, 0].tolist() == pytest.approx([200, 400, 80, 200], abs=3)


@pytest.mark.parametrize(("size", "ids"), [((1536, 1152), [1]), ((768, 768), [2])])
def test_tracks_follow_a_size_of_the_same_shape(size: tuple[int, int], ids: list[int]) -> None:
    tracker = Tracker(PARAMETERS)
    for index in range(5):
        Frame(index / 5, [(100.0 + 10 * index, 200.0, 40.0, 100.0)]).shown_to(tracker, index)
    before = tracker._table.kinematics.copy()
    tracker.resize(IMAGE_SIZE, size)
    if ids == [1]:
        boxes = corner_form(tracker._table.kinematics[:, 0])
        assert boxes.tolist() == (2 * corner_form(before[:, 0])).tolist()
        assert (tracker._table.kinematics[:, 4] == 4 * before[:, 4]).all()
    later = Frame(1.0, [(300.0, 400.0, 80.0, 200.0)])
    assert later.shown_to(tracker, 5).tolist() == ids
