import itertools
from pathlib import Path

import av
import numpy as np
import pytest

from benchmarks.clip import MIN_FRAMES, count_frames, long_clip
from benchmarks.stack import CLIP
from tests.data.clips import B_FRAMES, Recipe, looped_clip, write

N_TIMES = 3
RECIPES = (
    Recipe("plain.mp4"),
    Recipe("b_frames.mp4", options=B_FRAMES),
    Recipe("b_frames.mkv", options=B_FRAMES),
    Recipe("with_sound.mp4", sound="first", options=B_FRAMES),
    Recipe("vfr.mp4", pts=(0, 20, 60, 61, 200, 700), n_frames=6),
    Recipe("mpeg4.avi", codec="mpeg4"),
    Recipe("vp9.webm", codec="libvpx-vp9", options={"cpu-used": "8", "deadline": "realtime"}),
    Recipe("one_frame.mp4", n_frames=1),
)


def frames_of(clip: Path) -> list[av.VideoFrame]:
    with av.open(str(clip)) as container:
        return list(container.decode(video=0))


def check_repeats(source: Path, target: Path) -> None:
    once, often = frames_of(source), frames_of(target)
    assert len(often) == N_TIMES * len(once)
    for one, other in zip(itertools.cycle(once), often, strict=False):
        assert np.array_equal(one.to_ndarray(), other.to_ndarray())
    times = [frame.time for frame in often]
    assert all(early < late for early, late in itertools.pairwise(times))
    with av.open(str(target)) as container:
        orders = [p.dts for p in container.demux(video=0) if p.dts is not None]
    assert all(early < late for early, late in itertools.pairwise(orders))


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda recipe: recipe.name)
def test_a_looped_clip_decodes_to_the_pictures_of_its_source_again_and_again(
    tmp_path: Path, recipe: Recipe
) -> None:
    source = write(tmp_path / recipe.name, recipe)
    target = looped_clip(tmp_path / f"long-{recipe.name}", N_TIMES, source)
    assert count_frames(target) == N_TIMES * recipe.n_frames
    check_repeats(source, target)


def test_the_bundled_clip_can_be_looped(tmp_path: Path) -> None:
    check_repeats(CLIP, looped_clip(tmp_path / "long.mp4", N_TIMES))


def test_a_short_clip_is_repeated_until_it_is_long_enough_and_that_is_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    made = long_clip(CLIP, tmp_path)
    n_frames = count_frames(made)
    assert MIN_FRAMES <= n_frames < MIN_FRAMES + count_frames(CLIP)
    told = capsys.readouterr().out
    assert f"{n_frames} frames" in told
    assert str(MIN_FRAMES) in told


@pytest.mark.parametrize("min_frames", [1, 119, 120])
def test_a_clip_that_is_long_enough_is_taken_as_it_is(tmp_path: Path, min_frames: int) -> None:
    assert long_clip(CLIP, tmp_path, min_frames) == CLIP
    assert list(tmp_path.iterdir()) == []
