"""Frame plan: which frames of a source a task processes, and how many that will be."""

import math

import msgspec

from streamproc.contract.task_spec import FrameRange, Sampling, TaskSpec


class FramePlan(msgspec.Struct, frozen=True):
    """The part of a task's specification that decides how many frames are processed."""

    sampling: Sampling
    range: FrameRange
    max_frames: int | None


_DECODER = msgspec.json.Decoder(FramePlan)


def plan_of(spec: TaskSpec) -> FramePlan:
    return FramePlan(spec.sampling, spec.range, spec.max_frames)


def encode_plan(plan: FramePlan) -> str:
    """Encode as JSON, for the column `tasks.frame_plan`."""
    return msgspec.json.encode(plan).decode()


def decode_plan(text: str) -> FramePlan | None:
    """Decode; None for an empty text, which rows of older versions have.

    Raises `msgspec.DecodeError` on a text that `encode_plan` did not write.
    """
    return _DECODER.decode(text) if text else None


def expected_frames(plan: FramePlan, total_frames: int | None, fps: float | None) -> int | None:
    """Estimate the number of frames to process, at least 1.

    `total_frames` and `fps` are the source's. None for keyframes and for an unknown length; a
    range in seconds of a source without a frame rate is unknown, too.
    """
    if not total_frames or plan.sampling.mode == "keyframe":
        return None
    start, end = plan.range.start, plan.range.end
    if plan.range.unit == "seconds":
        if not fps and (start or end is not None):
            return None
        start, end = start * (fps or 0.0), None if end is None else end * (fps or 0.0)
    n_frames = max(0.0, min(total_frames, math.inf if end is None else end) - start)
    if plan.sampling.mode == "interval":
        n_frames = -(-n_frames // plan.sampling.value)
    elif fps:
        n_frames = min(n_frames, n_frames * plan.sampling.value / fps)
    n_frames = max(1, round(n_frames))
    return n_frames if plan.max_frames is None else min(plan.max_frames, n_frames)
