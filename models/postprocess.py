"""From a network's outputs to boxes: one decoder per head, then suppression. Pure numpy.

Anchors are the cells of all strides' grids, stride by stride, row by row. The decoders take only
the anchors that passed the threshold, so their cost follows the objects in the frame and not the
grid.
"""

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

from models.types import Floats, Ints

MAX_CANDIDATES = 1000
"""Of more anchors than this only the best take part in suppression: it is quadratic in them."""


@dataclass(frozen=True, slots=True, eq=False)
class Anchors:
    """`cells` (n, 2) float32: column and row; `strides` (n,) float32 in network pixels."""

    cells: Floats
    strides: Floats


@lru_cache(maxsize=32)
def anchors(width: int, height: int, strides: tuple[int, ...]) -> Anchors:
    """The anchors of a network input of width x height pixels. Shared: do not write into them."""
    cells, sizes = [], []
    for stride in strides:
        rows, columns = -(-height // stride), -(-width // stride)
        y, x = np.divmod(np.arange(rows * columns), columns)
        cells.append(np.stack([x, y], axis=1))
        sizes.append(np.full(rows * columns, stride))
    return Anchors(
        np.concatenate(cells).astype(np.float32), np.concatenate(sizes).astype(np.float32)
    )


def select(scores: Floats, threshold: float) -> npt.NDArray[np.intp]:
    """Indices of scores >= threshold, best first, ties by index; at most MAX_CANDIDATES."""
    keep = np.flatnonzero(scores >= np.float32(threshold))
    return keep[np.argsort(-scores[keep], kind="stable")][:MAX_CANDIDATES]


def decode_nanodet(regression: Floats, cells: Floats, strides: Floats, centre: float) -> Floats:
    """(n, 4 * bins) distance distributions to (n, 4) ltrb in network pixels.

    Each side's distance is the expectation of softmax over 0..bins-1, in strides (generalized focal
    loss, Li et al. 2020, as NanoDet uses it).
    """
    n, bins = len(regression), regression.shape[1] // 4
    logits = regression.reshape(n, 4, bins)
    weights = np.exp(logits - logits.max(axis=2, keepdims=True))
    steps = np.arange(bins, dtype=np.float32)
    distances = (weights @ steps) / weights.sum(axis=2) * strides[:, None]
    centres = (cells + np.float32(centre)) * strides[:, None]
    return np.concatenate([centres - distances[:, :2], centres + distances[:, 2:]], axis=1)


def decode_yolox(regression: Floats, cells: Floats, strides: Floats) -> Floats:
    """(n, 4) centre offset and log size (Ge et al. 2021) to (n, 4) ltrb in network pixels."""
    centres = (regression[:, :2] + cells) * strides[:, None]
    halves = np.exp(regression[:, 2:]) * (strides[:, None] / 2)
    return np.concatenate([centres - halves, centres + halves], axis=1)


def decode_ssd(
    rows: Floats, width: int, height: int, first_label: int
) -> tuple[Floats, Floats, Ints]:
    """(n, 7) DetectionOutput rows to boxes (ltrb, network pixels), scores and class ids.

    Rows end at the first with a negative image id; labels below `first_label` are background.
    """
    end = np.flatnonzero(rows[:, 0] < 0)
    rows = rows[: end[0]] if len(end) else rows
    class_ids = rows[:, 1].astype(np.int32) - first_label
    rows, class_ids = rows[class_ids >= 0], class_ids[class_ids >= 0]
    size = np.array([width, height, width, height], np.float32)
    return rows[:, 3:7] * size, rows[:, 2].copy(), class_ids


def suppress(
    boxes: Floats, class_ids: npt.NDArray[Any], iou_threshold: float, max_targets: int
) -> npt.NDArray[np.intp]:
    """Non-maximum suppression within each class.

    Boxes come best first; the indices of those that stay are returned in that order, at most
    `max_targets`. A box goes when a better one of its class overlaps it by more than
    `iou_threshold` (IoU).
    """
    n = len(boxes)
    if n == 0:
        return np.zeros(0, np.intp)
    shared, union = _shared_and_union(boxes, boxes)
    union *= np.float32(iou_threshold)
    overlap = shared > union
    overlap &= class_ids[:, None] == class_ids[None, :]
    alive = np.ones(n, bool)
    kept: list[int] = []
    for i in range(n):
        if alive[i]:
            kept.append(i)
            if len(kept) == max_targets:
                break
            alive &= ~overlap[i]
    return np.array(kept, np.intp)


def iou(a: Floats, b: Floats) -> Floats:
    """(len(a), len(b)) intersection over union of ltrb boxes; 0 where both have no area."""
    shared, union = _shared_and_union(a, b)
    return np.asarray(shared / np.maximum(union, np.float32(1e-30)), np.float32)


def _shared_and_union(a: Floats, b: Floats) -> tuple[Floats, Floats]:
    """Areas (len(a), len(b)), column by column and in place: the hot part of suppression."""
    shared: Floats = np.minimum.outer(a[:, 2], b[:, 2])
    shared -= np.maximum.outer(a[:, 0], b[:, 0])
    np.maximum(shared, 0, out=shared)
    heights: Floats = np.minimum.outer(a[:, 3], b[:, 3])
    heights -= np.maximum.outer(a[:, 1], b[:, 1])
    np.maximum(heights, 0, out=heights)
    shared *= heights
    union: Floats = np.add.outer(_areas(a), _areas(b))
    union -= shared
    return shared, union


def _areas(boxes: Floats) -> Floats:
    areas: Floats = np.maximum(boxes[:, 2] - boxes[:, 0], 0) * np.maximum(
        boxes[:, 3] - boxes[:, 1], 0
    )
    return areas
