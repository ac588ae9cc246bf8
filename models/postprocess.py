"""Box decoding and non-maximum suppression (NMS): one decoder per head. Runs no network.

Anchors are the cells of all strides' grids, stride by stride, row by row. The decoders receive only
the anchors above the threshold, so their cost depends on the number of objects, not on the grid.
"""

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from models.types import Floats, Ints

MAX_CANDIDATES = 1000
"""Only this many anchors, the best ones, enter suppression: its cost is quadratic in them."""


@dataclass(frozen=True, slots=True, eq=False)
class Anchors:
    """Anchor grid. `cells` (n, 2) float32: column, row; `strides` (n,) float32, network pixels."""

    cells: Floats
    strides: Floats


@lru_cache(maxsize=32)
def anchors(width: int, height: int, strides: tuple[int, ...]) -> Anchors:
    """The anchors of a network input of width x height pixels. Cached: do not modify the arrays."""
    cells, sizes = [], []
    for stride in strides:
        rows, columns = -(-height // stride), -(-width // stride)
        y, x = np.divmod(np.arange(rows * columns), columns)
        cells.append(np.stack([x, y], axis=1))
        sizes.append(np.full(rows * columns, stride))
    return Anchors(
        np.concatenate(cells).astype(np.float32), np.concatenate(sizes).astype(np.float32)
    )


def select(
    scores: Floats, class_ids: Ints, threshold: float, wanted: npt.NDArray[np.bool_]
) -> npt.NDArray[np.intp]:
    """Indices of scores >= threshold in the classes of `wanted` (classes,).

    Best first, ties by index. At most MAX_CANDIDATES.
    """
    keep = np.flatnonzero(scores >= np.float32(threshold))
    keep = keep[wanted[class_ids[keep]]]
    return keep[np.argsort(-scores[keep], kind="stable")][:MAX_CANDIDATES]


def decode_nanodet(regression: Floats, cells: Floats, strides: Floats, centre: float) -> Floats:
    """Decode (n, 4 * bins) distance distributions to (n, 4) ltrb in network pixels.

    The distance of each side is the expectation of softmax over 0..bins-1, in strides (generalized
    focal loss, Li et al. 2020, as used by NanoDet). A row's result does not depend on the others:
    no BLAS product, which rounds by the number and the alignment of the rows.
    """
    n, bins = len(regression), regression.shape[1] // 4
    # Bins first: numpy is five times faster on a few long rows than on many short ones.
    weights = np.ascontiguousarray(regression.reshape(4 * n, bins).T)
    weights -= weights.max(axis=0)
    np.exp(weights, out=weights)
    totals = weights.sum(axis=0)
    weights *= np.arange(bins, dtype=np.float32)[:, None]
    expected = weights.sum(axis=0) / totals
    distances = expected.reshape(n, 4) * strides[:, None]
    centres = (cells + np.float32(centre)) * strides[:, None]
    return np.concatenate([centres - distances[:, :2], centres + distances[:, 2:]], axis=1)


def decode_yolox(regression: Floats, cells: Floats, strides: Floats) -> Floats:
    """Decode (n, 4) centre offset and log size (Ge et al. 2021) to (n, 4) ltrb, network pixels."""
    centres = (regression[:, :2] + cells) * strides[:, None]
    halves = np.exp(regression[:, 2:]) * (strides[:, None] / 2)
    return np.concatenate([centres - halves, centres + halves], axis=1)


def decode_ssd(
    rows: Floats, width: int, height: int, first_label: int
) -> tuple[Floats, Floats, Ints]:
    """Decode (n, 7) DetectionOutput rows to boxes (ltrb, network pixels), scores and class ids.

    The first row with a negative image id ends the rows. Labels below `first_label` are background.
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

    `boxes` are sorted, best first. Returns the indices of the kept boxes in the same order, at most
    `max_targets`. A box is dropped if a better box of its class overlaps it by more than
    `iou_threshold` (IoU).
    """
    rects = boxes.astype(np.float64)
    rects[:, 2:] -= rects[:, :2]
    # OpenCV needs scores to sort by. The boxes are sorted already, so these keep the order.
    order = np.arange(len(boxes), 0, -1, dtype=np.float32)
    kept = []
    for class_id in np.unique(class_ids):
        places = np.flatnonzero(class_ids == class_id)
        # The type stub declares only sequences, although arrays work.
        best = cv2.dnn.NMSBoxes(rects[places].tolist(), order[places].tolist(), 0.0, iou_threshold)
        kept.append(places[np.asarray(best, np.intp)])
    return np.sort(np.concatenate(kept))[:max_targets] if kept else np.zeros(0, np.intp)
