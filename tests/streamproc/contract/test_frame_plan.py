"""How many frames a request selects, and its stored form."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamproc.contract.frame_plan import FramePlan, decode_plan, encode_plan, expected_frames
from streamproc.contract.task_spec import FrameRange, Sampling

ALL = FramePlan(Sampling("interval", 1), FrameRange(), 3000)


def plan(
    mode: str = "fps",
    value: float = 1.0,
    frames: FrameRange | None = None,
    most: int | None = 3000,
) -> FramePlan:
    return FramePlan(Sampling(mode, value), frames or FrameRange(), most)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("asked", "frames"),
    [
        (plan(), 80),
        (plan(value=5), 398),
        (plan(value=50), 795),
        (plan("interval", 4), 199),
        (plan("interval", 1, most=10), 10),
        (plan("interval", 1, most=None), 795),
        (plan("interval", 1, FrameRange(10, 20)), 100),
        (plan("interval", 1, FrameRange(700, unit="frames")), 95),
        (plan("interval", 1, FrameRange(900, unit="frames")), 1),
        (plan("keyframe"), None),
    ],
)
def test_sampling_and_range_select_frames(asked: FramePlan, frames: int | None) -> None:
    assert expected_frames(asked, 795, 10.0) == frames


def test_what_is_unknown_gives_no_number() -> None:
    assert expected_frames(ALL, None, 10.0) is None
    assert expected_frames(ALL, 795, None) == 795
    assert expected_frames(plan("interval", 1, FrameRange(10, 20)), 795, None) is None


@given(
    sampling=st.builds(
        Sampling, st.sampled_from(["fps", "interval"]), st.integers(1, 1000).map(float)
    ),
    frames=st.builds(
        FrameRange,
        st.floats(0, 10_000_000),
        st.none() | st.floats(0, 10_000_000),
        st.sampled_from(["seconds", "frames"]),
    ),
    most=st.integers(1, 2**31 - 1),
    total=st.integers(1, 2**40),
    fps=st.floats(0.1, 1000),
)
def test_an_estimate_is_in_its_bounds(
    sampling: Sampling, frames: FrameRange, most: int, total: int, fps: float
) -> None:
    asked = FramePlan(sampling, frames, most)
    assert decode_plan(encode_plan(asked)) == asked
    expected = expected_frames(asked, total, fps)
    assert expected is not None
    assert 1 <= expected <= min(most, total)


def test_rows_of_older_versions_have_no_plan() -> None:
    assert decode_plan("") is None
