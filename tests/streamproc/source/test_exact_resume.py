"""A walk that is resumed at any of its frames goes on as if it had never stopped."""

import random

import pytest

from streamproc.contract.task_spec import FrameRange, Sampling
from streamproc.source.errors import SourceChangedError
from streamproc.source.types import ResumePoint
from tests.data import clips
from tests.streamproc.source.conftest import ALL, WHOLE, Clip, walk

LONG = [recipe.name for recipe in clips.RECIPES if recipe.name != "one_frame.mp4"]


@pytest.mark.parametrize("sampling", [ALL, Sampling("fps", 6), Sampling("keyframe")], ids=str)
@pytest.mark.parametrize("name", LONG)
def test_resuming_anywhere_equals_the_uninterrupted_run(
    clip: Clip, name: str, sampling: Sampling
) -> None:
    path = clip(name)
    chance = random.Random(f"{name}{sampling}")
    for frames in (WHOLE, FrameRange(10, 55, "frames"), FrameRange(0.3, None, "seconds")):
        whole, usage = walk(path, sampling, frames)
        for place in sorted(chance.sample(range(len(whole)), min(4, len(whole)))):
            rest, rest_usage = walk(path, sampling, frames, whole[place].resume)
            assert rest == whole[place + 1 :]
            assert rest_usage.counts == usage.counts


def test_a_resume_point_that_seeking_cannot_find_is_checked_from_the_start(clip: Clip) -> None:
    path = clip("plain.mp4")
    whole, _ = walk(path)
    right = whole[30].resume
    with pytest.raises(SourceChangedError):
        walk(path, resume=ResumePoint(30, right.pts + 1, *whole[30].counters))
