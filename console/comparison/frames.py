"""Frames of a log as a comparison reads them: place, time and targets."""

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from console.errors import ComparisonError
from streamproc.contract.bounds import MAX_PX, MAX_TARGETS, clamped
from streamproc.contract.chunk import Chunk, Target, decode_chunk
from streamproc.contract.framing import DONE, Event

Boxes = npt.NDArray[np.float64]


class SeenFrame(NamedTuple):
    """One processed frame, `frame` its index, `offset` the first byte of its event in the log.

    `time_s` None: the log is of a version without times.
    `targets` have distinct track ids above 0.
    """

    frame: int
    time_s: float | None
    fps: float
    index_is_estimate: bool
    targets: tuple[Target, ...]
    offset: int = 0


def read_frames(events: Iterable[Event]) -> list[SeenFrame]:
    """Return the frames of these events; the terminal, `[DONE]` and notices have none.

    Raises `msgspec.DecodeError` for data that is no chunk, and `ComparisonError` for a frame with
    more targets than the protocol allows.
    """
    chunks = ((decode_chunk(one.data), one.start) for one in events if one.data != DONE)
    return [
        _frame(chunk, start)
        for chunk, start in chunks
        if chunk.finish_reason is None and not chunk.stream_info.is_notice
    ]


def boxes_of(targets: Iterable[Target]) -> Boxes:
    """Return the targets' boxes, shape (n, 4): left, top, right, bottom in source pixels."""
    rows = [
        (left, top, left + clamped(roi.width, 0, MAX_PX), top + clamped(roi.height, 0, MAX_PX))
        for roi in (target.roi for target in targets)
        for left, top in ((clamped(roi.left, -MAX_PX, MAX_PX), clamped(roi.top, -MAX_PX, MAX_PX)),)
    ]
    return np.array(rows, np.float64).reshape(-1, 4)


def overlaps(boxes_a: Boxes, boxes_b: Boxes) -> Boxes:
    """Return the IoU of each pair of boxes, shape (n, m). Of two empty boxes: 1 if they are equal.

    Work arrays have n x m values: give a large n in parts.
    """
    a, b = boxes_a[:, None, :], boxes_b[None, :, :]
    sides = np.minimum(a[..., 2:], b[..., 2:]) - np.maximum(a[..., :2], b[..., :2])
    common = sides.clip(0).prod(axis=-1)
    areas_a = (boxes_a[:, 2:] - boxes_a[:, :2]).prod(axis=-1)
    areas_b = (boxes_b[:, 2:] - boxes_b[:, :2]).prod(axis=-1)
    union = areas_a[:, None] + areas_b[None, :] - common
    equal: Boxes = (a == b).all(axis=-1).astype(np.float64)
    np.divide(common, union, out=equal, where=union > 0)
    return equal


def _frame(chunk: Chunk, offset: int) -> SeenFrame:
    info = chunk.stream_info
    targets = {
        target.track_id: target
        for result in reversed(chunk.delta.results)
        for target in reversed(result.targets)
        if target.track_id > 0
    }
    if len(targets) > MAX_TARGETS:
        raise ComparisonError(
            f"frame {info.frame_index} has {len(targets)} targets; the limit is {MAX_TARGETS}"
        )
    return SeenFrame(
        info.frame_index,
        info.time_s if isinstance(info.time_s, float | int) else None,
        info.fps,
        info.frame_index_is_estimate is True,
        tuple(targets[track] for track in sorted(targets)),
        offset,
    )
