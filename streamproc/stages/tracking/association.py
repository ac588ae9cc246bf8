"""Data association of detections and tracks: IoU, appearance distances, assignment."""

import numpy as np
import numpy.typing as npt

from streamproc.stages.tracking.assignment import linear_sum_assignment

Floats = npt.NDArray[np.float64]
Indices = npt.NDArray[np.intp]


def overlaps(tracks_px: Floats, detections_px: Floats, widening_px: Floats | None = None) -> Floats:
    """Return IoU `(t, n)` of boxes left, top, right, bottom.

    `widening_px (t, 2)` moves every side of the track's box, and of each detection compared with
    it, outwards by that much in x and y. So boxes that do not touch can overlap if the track's
    position is uncertain (Yang et al., "Hard to Track Objects with Irregular Motions and Similar
    Appearances?", WACV 2023). IoU is unchanged if the position is certain.
    """
    if widening_px is None:
        widening_px = np.zeros((len(tracks_px), 2))
    grow = widening_px[:, None, :]
    near = np.maximum(tracks_px[:, None, :2], detections_px[None, :, :2]) - grow
    far = np.minimum(tracks_px[:, None, 2:], detections_px[None, :, 2:]) + grow
    inner = np.maximum(far - near, 0.0)
    track_extent = tracks_px[:, None, 2:] - tracks_px[:, None, :2] + 2.0 * grow
    detection_extent = detections_px[None, :, 2:] - detections_px[None, :, :2] + 2.0 * grow
    intersection = inner[..., 0] * inner[..., 1]
    union = (
        track_extent[..., 0] * track_extent[..., 1]
        + detection_extent[..., 0] * detection_extent[..., 1]
        - intersection
    )
    ratio: Floats = intersection / union
    return ratio


def cosine_distances(tracks: Floats, detections: Floats) -> Floats:
    """Return the cosine distance, 1 - cosine, `(t, n)` of unit vectors.

    einsum sums in the same order on every machine; a BLAS product may not.
    """
    cosines: Floats = np.einsum("td,nd->tn", tracks, detections)
    return 1.0 - cosines


def assigned(costs: Floats, limit: float) -> tuple[Indices, Indices]:
    """Return the rows and columns of the assignment with the least sum of (cost - limit).

    Pairs with a cost of `limit` or more are left out. The assignment is optimal, not greedy.
    """
    gains = np.minimum(costs - limit, 0.0)
    if not gains.any():
        nothing = np.empty(0, dtype=np.intp)
        return nothing, nothing
    rows, columns = linear_sum_assignment(gains)
    made = gains[rows, columns] < 0.0
    return rows[made], columns[made]
