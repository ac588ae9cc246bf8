"""Which detection is which track: overlaps, appearance distances and the assignment."""

import numpy as np
import numpy.typing as npt

from streamproc.stages.tracking.assignment import linear_sum_assignment

Floats = npt.NDArray[np.float64]
Indices = npt.NDArray[np.intp]


def overlaps(tracks_px: Floats, detections_px: Floats, widening_px: Floats | None = None) -> Floats:
    """Return IoU `(t, n)` of boxes left, top, right, bottom.

    `widening_px (t, 2)` pushes every side of the track's box, and of each detection compared with
    it, outwards by that much in x and y. So two boxes that do not touch still compare when the
    track's position is uncertain (Yang et al., "Hard to Track Objects with Irregular Motions and
    Similar Appearances?", WACV 2023), and IoU is unchanged where it is certain.
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
    """Return 1 - cosine `(t, n)` of unit vectors.

    einsum keeps one order of summation on every machine; a BLAS product need not.
    """
    cosines: Floats = np.einsum("td,nd->tn", tracks, detections)
    return 1.0 - cosines


def assigned(costs: Floats, limit: float) -> tuple[Indices, Indices]:
    """Return the rows and columns of the assignment with the least sum of (cost - limit).

    No pair of cost `limit` or more is made; the rest is optimal, not greedy.
    """
    gains = np.minimum(costs - limit, 0.0)
    if not gains.any():
        nothing = np.empty(0, dtype=np.intp)
        return nothing, nothing
    rows, columns = linear_sum_assignment(gains)
    made = gains[rows, columns] < 0.0
    return rows[made], columns[made]
