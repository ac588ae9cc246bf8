"""Each frame says when its pixels are not square, or its size is not the first one's."""

from fractions import Fraction
from pathlib import Path

import pytest

from models.sizes import InputFit
from streamproc.contract.task_spec import Sampling
from streamproc.source.frame_source import Frame, FrameSource, open_source
from streamproc.source.types import FrameOutputs, ResumePoint, SourceSpec
from tests.data import clips
from tests.data.shapes import TALL, WIDE, anamorphic, changing
from tests.streamproc.source.conftest import policy


def opened(path: Path, resume: ResumePoint | None = None) -> FrameSource:
    spec = SourceSpec(path.as_uri(), Sampling("interval", 1))
    return open_source(
        spec, policy(path), FrameOutputs(full=False, scaled=InputFit(32, 32)), resume
    )


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv", "a.avi", "a.ts"])
def test_the_ratio_of_a_pixels_sides_is_told(name: str, tmp_path: Path) -> None:
    with opened(anamorphic(tmp_path / name, Fraction(16, 11))) as source:
        assert source.info.sample_aspect == (16, 11)
        assert (source.info.width, source.info.height) == WIDE


def test_the_ratio_is_that_of_the_upright_picture(tmp_path: Path) -> None:
    lying = anamorphic(tmp_path / "a.mp4", Fraction(16, 11))
    with opened(clips.rotate_mp4(lying, tmp_path / "turned.mp4", 90)) as source:
        assert source.info.sample_aspect == (11, 16)
        assert (source.info.width, source.info.height) == TALL


def test_square_pixels_are_one_to_one(tmp_path: Path) -> None:
    for ratio in (Fraction(1, 1), Fraction(0, 1)):
        with opened(anamorphic(tmp_path / "a.mp4", ratio)) as source:
            assert source.info.sample_aspect == (1, 1)


def test_a_frame_of_another_size_than_the_first_tells_its_own(tmp_path: Path) -> None:
    path = changing(tmp_path, Fraction(1, 1))
    with opened(path) as source:
        assert (source.info.width, source.info.height) == WIDE
        seen = [_told(frame) for frame in source]
    assert [size for _, size in seen] == [None] * 6 + [TALL] * 6 + [None] * 6
    with opened(path, seen[8][0]) as source:
        assert [_told(frame) for frame in source] == seen[9:]


def _told(frame: Frame) -> tuple[ResumePoint, tuple[int, int] | None]:
    told = frame.resume_point, frame.size
    frame.release()
    return told
