"""One file's trial: every way to its frames, against what a full decode shows."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import floor
from pathlib import Path

from streamproc.contract.task_spec import FrameRange, Sampling
from streamproc.source.types import ResumePoint
from tests.data.walking import walking
from tests.field.oracle import Decoded, decode, grey

EVERY = Sampling("interval", 1)
WHOLE = FrameRange()
_SOON_S = 0.02
_TINY_S = 1e-6


class FrameMissingError(AssertionError):
    """All of the files are whole."""


@dataclass(frozen=True)
class Got:
    """A frame that was delivered; `picture` is its place in the oracle's sequence."""

    index: int
    time_s: float
    picture: int | None
    resume: ResumePoint


def walked(
    path: Path,
    truth: Decoded,
    sampling: Sampling = EVERY,
    frames: FrameRange = WHOLE,
    resume: ResumePoint | None = None,
) -> list[Got]:
    """Do what a decoder child does, in this process."""
    got = []
    with walking(path, sampling, frames, resume) as walk:
        for one in walk.pictures():
            place = truth.place_of(grey(one.frame), one.index)
            got.append(Got(one.index, one.time_s, place, walk.resume_point(one)))
    if walk.truncated or walk.usage.failed:
        raise FrameMissingError(f"truncated: {walk.truncated}, failed: {walk.usage.failed}")
    return got


def faults(path: Path, *, times_as_told: bool = True, step: int = 11) -> Iterator[str]:
    """Yield what is wrong, nothing when all is right."""
    truth = decode(path)
    whole = walked(path, truth)
    yield from _unequal("all", whole, range(len(truth.pictures)))
    if times_as_told:
        for frame, told in zip(whole, truth.times_s, strict=False):
            if told is not None and abs(frame.time_s - told) > _SOON_S:
                yield f"time of {frame.index}: {frame.time_s:.3f}, not {told:.3f}"
                break
    every_7th = Sampling("interval", 7)
    yield from _unequal("every 7th", walked(path, truth, every_7th), range(0, len(whole), 7))
    by_key = walked(path, truth, Sampling("keyframe", 1))
    yield from _unequal("keyframes", by_key, truth.keys)
    for start in range(0, len(whole), step):
        part = FrameRange(start, start + 3, "frames")
        wanted = range(start, min(start + 3, len(whole)))
        yield from _unequal(f"frames from {start}", walked(path, truth, EVERY, part), wanted)
        begin_s = floor(whole[start].time_s * 1e6) / 1e6
        end_s = round(begin_s + 0.31, 6)
        part = FrameRange(begin_s, end_s, "seconds")
        inside = [f.index for f in whole if begin_s <= f.time_s < end_s - _TINY_S]
        yield from _unequal(f"from {begin_s:.3f} s", walked(path, truth, EVERY, part), inside)
        rest = [frame.index for frame in whole[start + 1 :]]
        found = walked(path, truth, resume=whole[start].resume)
        yield from _unequal(f"behind frame {start}", found, rest)


def _unequal(what: str, got: Sequence[Got], wanted: Sequence[int]) -> Iterator[str]:
    found = [frame.index for frame in got]
    if found != list(wanted):
        yield f"{what}: frames {found[:8]} of {len(found)}, not {list(wanted)[:8]}"
    wrong = [(frame.index, frame.picture) for frame in got if frame.picture != frame.index]
    if wrong:
        yield f"{what}: {len(wrong)} wrong pictures, {wrong[:5]}"
