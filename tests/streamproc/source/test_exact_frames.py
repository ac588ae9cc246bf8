"""Every frame that is delivered is the frame an independent decode has at that index."""

from collections.abc import Sequence
from fractions import Fraction

import pytest

from streamproc.contract.task_spec import FrameRange, Sampling
from streamproc.source.types import NO_PLACE
from tests.data import clips
from tests.data.walking import walking
from tests.streamproc.source.conftest import ALL, WHOLE, Clip, Plain, plain_decode, run, seen, walk

NAMES = [recipe.name for recipe in clips.RECIPES]
SAMPLINGS = [
    Sampling("interval", 1),
    Sampling("interval", 7),
    Sampling("fps", 4),
    Sampling("fps", 0.3),
    Sampling("fps", 100),
    Sampling("keyframe"),
]
RANGES = [
    WHOLE,
    FrameRange(30, None, "frames"),
    FrameRange(25, 37, "frames"),
    FrameRange(0, 5, "frames"),
    FrameRange(1.2, None, "seconds"),
    FrameRange(0.5, 1.7, "seconds"),
    FrameRange(500, 600, "seconds"),
]


def expected(
    plain: Sequence[Plain], sampling: Sampling, frames: FrameRange
) -> tuple[list[Plain], list[Plain]]:
    """The specification, written the slow way."""
    inside = []
    for frame in plain:
        position = frame.index if frames.unit == "frames" else frame.time_s
        if position >= frames.start - 1e-9 and (frames.end is None or position < frames.end - 1e-9):
            inside.append(frame)
    if not inside:
        return inside, []
    if sampling.mode == "keyframe":
        return inside, [f for f in inside if f.is_key]
    if sampling.mode == "interval":
        return inside, inside[:: int(sampling.value)]
    start_s = inside[0].time_s if frames.unit == "frames" else frames.start
    wanted, tick = [], 0
    step_s = Fraction(1) / Fraction(sampling.value).limit_denominator(1000)
    for frame in inside:
        if frame.time_s - start_s >= float(tick * step_s) - 1e-9:
            wanted.append(frame)
            while float(tick * step_s) <= frame.time_s - start_s + 1e-9:
                tick += 1
    return inside, wanted


@pytest.mark.parametrize("frames", RANGES, ids=lambda r: f"{r.start}-{r.end}{r.unit[0]}")
@pytest.mark.parametrize("name", NAMES)
def test_every_sampling_delivers_the_frames_of_a_plain_decode(
    clip: Clip, name: str, frames: FrameRange
) -> None:
    path = clip(name)
    for sampling in SAMPLINGS:
        inside, wanted = expected(plain_decode(path), sampling, frames)
        got, usage = walk(path, sampling, frames)
        assert seen(got) == seen(wanted), sampling
        assert usage.decoded + usage.failed + usage.skipped_undecoded == len(inside)
        assert usage.failed == 0
        assert usage.decoded + usage.skipped_undecoded - usage.counts.skipped == len(wanted)
        order = {frame.index: place for place, frame in enumerate(inside)}
        for nth, frame in enumerate(got):
            place = order[frame.index] + 1
            decoded = nth + 1 if sampling.mode == "keyframe" else place
            assert frame.counters == (decoded, 0, place - nth - 1)


@pytest.mark.parametrize("name", NAMES)
def test_the_child_delivers_what_the_walk_finds(clip: Clip, name: str) -> None:
    sampling, frames = Sampling("interval", 2), FrameRange(0, 40, "frames")
    got, usage = run(clip(name), sampling, frames)
    assert (got, usage) == walk(clip(name), sampling, frames)
    if len(got) > 10:
        rest, _ = run(clip(name), sampling, frames, got[9].resume)
        assert rest == got[10:]


@pytest.mark.parametrize("name", ["open_gop.mp4", "open_gop.mkv", "mpeg4_b.avi", "hevc.mp4"])
def test_keyframe_mode_sends_only_keyframes_to_the_decoder(clip: Clip, name: str) -> None:
    got, usage = walk(clip(name), Sampling("keyframe"))
    assert len(got) >= 3
    assert usage.packets_sent <= len(got) + 1
    assert usage.skipped_undecoded == len(plain_decode(clip(name))) - len(got)


@pytest.mark.parametrize("name", ["b_frames.mp4", "open_gop.mp4", "mpeg4.avi", "open_gop.mkv"])
def test_a_late_range_does_not_decode_what_lies_before_it(clip: Clip, name: str) -> None:
    _, usage = walk(clip(name), ALL, FrameRange(50, None, "frames"))
    assert usage.decoded == 10
    assert usage.packets_sent <= 10 + 12 + 8


def test_two_walks_in_one_process_do_not_mix_up_their_frames(clip: Clip) -> None:
    path = clip("b_frames.mp4")
    with walking(path, ALL, WHOLE, None) as one, walking(path, ALL, WHOLE, None) as other:
        first, second = one.pictures(), other.pictures()
        for _ in range(3):  # the first lets go of what the second is decoding
            next(first)
        places = [(b.index, b.pos) for _, b in zip(first, second, strict=False)]
    assert [index for index, _ in places] == list(range(57))
    assert NO_PLACE not in {pos for _, pos in places}
