"""Boxes by the textbook, one by one."""

from models.types import Floats


def iou(a: Floats, b: Floats) -> float:
    """Return the intersection over union of two ltrb boxes; 0 where they do not meet."""
    width = min(a[2], b[2]) - max(a[0], b[0])
    height = min(a[3], b[3]) - max(a[1], b[1])
    if width <= 0 or height <= 0:
        return 0.0
    shared = width * height
    areas = (a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1])
    return float(shared / (areas - shared))
