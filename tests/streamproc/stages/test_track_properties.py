"""What holds for any frames: ids, order, cuts, and that nothing is hidden outside the state."""

from random import Random

import msgspec
import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streamproc.stages.tracking.parameters import TrackParameters
from streamproc.stages.tracking.state import PackedArray, TrackerState
from streamproc.stages.tracking.tracker import Tracker
from tests.streamproc.stages.scenes import Frame

PARAMETERS = TrackParameters(class_groups=((2, 5, 7), (1, 3)))
N_FEATURES = 6


@st.composite
def clips(draw: st.DrawFn) -> list[Frame]:
    """Random walks seen by an unsure detector: misses, strays, uneven time, missing features."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    n_frames = draw(st.integers(2, 25))
    with_features = draw(st.booleans())
    gap_s = draw(st.sampled_from([0.04, 0.3, 1.0, 5.0]))
    places = rng.uniform(50, 550, (draw(st.integers(0, 6)), 2))
    speeds = rng.normal(0, 60, places.shape)
    looks = rng.normal(size=(len(places), N_FEATURES))
    kinds = rng.choice([0, 1, 2, 5, 7], len(places))
    frames, time_s = [], 0.0
    for _ in range(n_frames):
        seen = np.flatnonzero(rng.random(len(places)) < 0.85)
        n_strays = int(rng.integers(0, 3))
        boxes = [(x, y, 40.0, 90.0) for x, y in places[seen] + rng.normal(0, 2, (len(seen), 2))]
        boxes += [(x, y, 50.0, 50.0) for x, y in rng.uniform(50, 550, (n_strays, 2))]
        features: npt.NDArray[np.float32] | None = None
        if with_features and rng.random() < 0.9:
            seen_as = np.vstack([looks[seen], rng.normal(size=(n_strays, N_FEATURES))])
            seen_as += rng.normal(0, 0.1, seen_as.shape)
            seen_as[rng.random(len(seen_as)) < 0.2] = np.nan
            features = seen_as.astype(np.float32)
        classes = np.concatenate([kinds[seen], rng.choice([0, 2, 9], n_strays)])
        frames.append(
            Frame(
                time_s,
                boxes,
                rng.uniform(0.05, 1.0, len(boxes)).tolist(),
                classes.astype(int).tolist(),
                features,
            )
        )
        step_s = float(rng.exponential(gap_s))
        time_s += step_s
        places = places + speeds * step_s
    return frames


@settings(max_examples=60, deadline=None)
@given(clips())
def test_ids_are_unique_in_a_frame_begin_at_1_and_are_given_in_order(clip: list[Frame]) -> None:
    tracker = Tracker(PARAMETERS)
    highest = 0
    last_seen: dict[int, int] = {}
    for index, frame in enumerate(clip):
        ids = frame.shown_to(tracker, index)
        given_ids = ids[ids > 0].tolist()
        assert len(set(given_ids)) == len(given_ids)
        fresh = sorted(i for i in given_ids if i not in last_seen)
        assert fresh == list(range(highest + 1, highest + 1 + len(fresh)))
        highest += len(fresh)
        last_seen.update(dict.fromkeys(given_ids, index))
        assert (ids[np.array(frame.scores or [], np.float32) < PARAMETERS.low_threshold] == 0).all()


@settings(max_examples=40, deadline=None)
@given(clips(), st.randoms(use_true_random=False))
def test_the_order_of_detections_changes_nothing(clip: list[Frame], random: Random) -> None:
    straight, shuffled = Tracker(PARAMETERS), Tracker(PARAMETERS)
    for index, frame in enumerate(clip):
        order = list(range(len(frame.boxes)))
        random.shuffle(order)
        expected = frame.shown_to(straight, index).tolist()
        assert frame.shown_to(shuffled, index, order).tolist() == expected
    assert straight.state() == shuffled.state()


@settings(max_examples=60, deadline=None)
@given(clips(), st.data())
def test_a_restored_tracker_goes_on_bit_for_bit(clip: list[Frame], data: st.DataObject) -> None:
    cuts = data.draw(st.sets(st.integers(0, len(clip) - 1), max_size=4))
    whole, cut = Tracker(PARAMETERS), Tracker(PARAMETERS)
    for index, frame in enumerate(clip):
        if index in cuts:
            wire = msgspec.msgpack.encode(cut.state())
            cut = Tracker(PARAMETERS, msgspec.msgpack.decode(wire, type=TrackerState))
        assert frame.shown_to(cut, index).tolist() == frame.shown_to(whole, index).tolist()
        assert cut.state() == whole.state()


@settings(max_examples=40, deadline=None)
@given(clips())
def test_every_number_of_the_state_is_finite_and_every_extent_positive(clip: list[Frame]) -> None:
    tracker = Tracker(PARAMETERS)
    for index, frame in enumerate(clip):
        frame.shown_to(tracker, index)
        for packed in tracker.state().columns.values():
            assert np.isfinite(np.frombuffer(packed.data, packed.dtype)).all()
        kinematics = tracker._table.kinematics
        assert (kinematics[:, 0, 2:] > 0).all()
        assert (kinematics[:, 2] * kinematics[:, 4] >= kinematics[:, 3] ** 2 * (1 - 1e-9)).all()


def test_a_taken_state_does_not_follow_the_tracker() -> None:
    tracker = Tracker(PARAMETERS)
    person = (200.0, 200.0, 40.0, 100.0)
    Frame(0.0, [person]).shown_to(tracker, 0)
    taken = tracker.state()
    before = msgspec.msgpack.encode(taken)
    Frame(0.1, [person, (400.0, 200.0, 40.0, 100.0)]).shown_to(tracker, 1)
    assert msgspec.msgpack.encode(taken) == before
    assert msgspec.msgpack.encode(tracker.state()) != before


def test_a_state_that_does_not_fit_is_refused() -> None:
    tracker = Tracker(PARAMETERS)
    Frame(0.0, [(200.0, 200.0, 40.0, 100.0)]).shown_to(tracker, 0)
    state = tracker.state()
    cases = {
        "version 2": msgspec.structs.replace(state, version=2),
        "lacks ids": msgspec.structs.replace(
            state, columns={name: c for name, c in state.columns.items() if name != "ids"}
        ),
        "bytes are no": msgspec.structs.replace(
            state, columns={**state.columns, "ids": PackedArray("<i4", (1,), b"123")}
        ),
        "belong together": msgspec.structs.replace(
            state, columns={**state.columns, "ids": PackedArray("<i4", (0,), b"")}
        ),
    }
    for message, broken in cases.items():
        with pytest.raises(ValueError, match=message):
            Tracker(PARAMETERS, broken)
    with pytest.raises(ValueError, match="belong together"):
        Tracker(TrackParameters(), state)
