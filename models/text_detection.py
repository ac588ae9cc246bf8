"""Text-line detection post-processing (DB, Liao et al. 2020): probability map to line images."""

from collections.abc import Sequence

import cv2
import numpy as np
import numpy.typing as npt

from models.types import Floats, Image

PIXEL_THRESHOLD = 0.3
QUAD_THRESHOLD = 0.5
UNCLIP_RATIO = 1.6
"""The map marks shrunk lines; each side is moved out by area x ratio / perimeter."""

MIN_SIDE_PX = 3
MAX_LINES = 200
TALL = 1.5
"""A line image at least this many times higher than wide contains vertical text."""


def find_quads(probability: Floats) -> list[Floats]:
    """Quads (4, 2) float32 in map pixels, clockwise from the top left, in reading order."""
    bitmap = (probability > PIXEL_THRESHOLD).astype(np.uint8)
    contours, _ = cv2.findContours(bitmap, cv2.RETR_LIST, cv2.CHAIN_APPROX_SIMPLE)
    found = []
    for contour in contours[:MAX_LINES]:
        centre, (width, height), angle = cv2.minAreaRect(contour)
        if min(width, height) < MIN_SIDE_PX:
            continue
        quad = np.asarray(cv2.boxPoints((centre, (width, height), angle)), np.float32)
        if _mean_inside(probability, quad) < QUAD_THRESHOLD:
            continue
        # DB offsets the polygon with round corners and boxes it again. Of a rectangle, that equals
        # moving its sides.
        grow = width * height * UNCLIP_RATIO / (2 * (width + height))
        grown = (centre, (width + 2 * grow, height + 2 * grow), angle)
        if min(grown[1]) >= MIN_SIDE_PX + 2:
            found.append(_clockwise(np.asarray(cv2.boxPoints(grown), np.float32)))
    return reading_order(found)


def reading_order(quads: Sequence[Floats]) -> list[Floats]:
    """Sort into rows, top to bottom and left to right; middles within half a height share a row."""
    by_middle = sorted(quads, key=lambda quad: (float(quad[:, 1].mean()), float(quad[:, 0].mean())))
    rows: list[list[Floats]] = []
    for quad in by_middle:
        last = rows[-1][0] if rows else None
        if last is not None and quad[:, 1].mean() - last[:, 1].mean() < np.ptp(last[:, 1]) / 2:
            rows[-1].append(quad)
        else:
            rows.append([quad])
    return [quad for row in rows for quad in sorted(row, key=lambda quad: float(quad[:, 0].mean()))]


def straighten(image: Image, quad: Floats) -> Image:
    """Rectify a quadrilateral to an upright image; vertical text is rotated to horizontal."""
    width, height = _size(quad)
    corners = np.array([[0, 0], [width, 0], [width, height], [0, height]], np.float32)
    line = cv2.warpPerspective(
        image,
        cv2.getPerspectiveTransform(quad, corners),
        (width, height),
        flags=cv2.INTER_CUBIC,
        borderMode=cv2.BORDER_REPLICATE,
    )
    if is_vertical(quad):
        line = cv2.rotate(line, cv2.ROTATE_90_COUNTERCLOCKWISE)
    return np.asarray(line, np.uint8)


def is_vertical(quad: Floats) -> bool:
    """Whether the quadrilateral is of vertical text, so that `straighten` rotates it."""
    width, height = _size(quad)
    return height >= TALL * width


def _size(quad: Floats) -> tuple[int, int]:
    """Width and height of the upright image, px."""
    width = max(_length(quad[0], quad[1]), _length(quad[3], quad[2]))
    height = max(_length(quad[0], quad[3]), _length(quad[1], quad[2]))
    return max(1, round(float(width))), max(1, round(float(height)))


def _mean_inside(probability: Floats, quad: npt.NDArray[np.float32]) -> float:
    height, width = probability.shape
    low = np.floor(quad.min(axis=0)).astype(int).clip(0, (width - 1, height - 1))
    high = np.ceil(quad.max(axis=0)).astype(int).clip(0, (width - 1, height - 1))
    mask = np.zeros((high[1] - low[1] + 1, high[0] - low[0] + 1), np.uint8)
    cv2.fillPoly(mask, [(quad - low).astype(np.int32)], (1,))
    inside = probability[low[1] : high[1] + 1, low[0] : high[0] + 1]
    return float(cv2.mean(inside, mask)[0])


def _clockwise(points: npt.NDArray[np.float32]) -> Floats:
    """Sort corners: top left, top right, bottom right, bottom left."""
    by_x = points[np.argsort(points[:, 0], kind="stable")]
    left = by_x[:2][np.argsort(by_x[:2, 1], kind="stable")]
    right = by_x[2:][np.argsort(by_x[2:, 1], kind="stable")]
    return np.array([left[0], right[0], right[1], left[1]], np.float32)


def _length(a: Floats, b: Floats) -> float:
    return float(np.hypot(*(a - b)))
