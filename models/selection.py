"""Choice of targets: one suppression over several looks, limits of place and size."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from models.postprocess import suppress
from models.types import Detections, Floats


def limits_targets(parameters: Mapping[str, Any]) -> bool:
    """Whether the parameters limit where targets are, or how large."""
    return bool(parameters.get("roi") or parameters.get("min_size") or parameters.get("max_size"))


def merged(looks: Sequence[Detections], parameters: Mapping[str, Any]) -> Detections:
    """The targets of several looks at one frame, within the limits, after one suppression.

    Boxes are in source pixels. Best first; of equal scores, those of the earlier look.
    """
    boxes = np.concatenate([look.boxes_px for look in looks])
    scores = np.concatenate([look.scores for look in looks])
    class_ids = np.concatenate([look.class_ids for look in looks])
    inside = np.flatnonzero(within(boxes, parameters))
    order = inside[np.argsort(-scores[inside], kind="stable")]
    boxes, scores, class_ids = boxes[order], scores[order], class_ids[order]
    kept = suppress(boxes, class_ids, parameters["iou_threshold"], parameters["max_targets"])
    return Detections(boxes[kept], scores[kept], class_ids[kept])


def within(boxes_px: Floats, parameters: Mapping[str, Any]) -> npt.NDArray[np.bool_]:
    """Which boxes (n, 4) ltrb have their middle in `roi`, and sizes from min_size to max_size.

    A box's size is its longer side.
    """
    sides = (boxes_px[:, 2:] - boxes_px[:, :2]).max(axis=1, initial=0)
    keep: npt.NDArray[np.bool_] = sides >= (parameters.get("min_size") or 0)
    if parameters.get("max_size"):
        keep &= sides <= parameters["max_size"]
    if parameters.get("roi"):
        middles = (boxes_px[:, :2].astype(float) + boxes_px[:, 2:]) / 2
        keep &= in_polygon(middles, np.array(parameters["roi"], float))
    return keep


def in_polygon(
    points: npt.NDArray[np.float64], corners: npt.NDArray[np.float64]
) -> npt.NDArray[np.bool_]:
    """Which points (n, 2) are inside a polygon (k, 2), by the even-odd rule."""
    x, y = points[:, 0], points[:, 1]
    inside = np.zeros(len(points), np.bool_)
    for (x0, y0), (x1, y1) in zip(corners, np.roll(corners, -1, axis=0), strict=True):
        if y0 == y1:
            continue
        crosses = (y0 > y) != (y1 > y)
        inside ^= crosses & (x < (x1 - x0) * (y - y0) / (y1 - y0) + x0)
    return inside
