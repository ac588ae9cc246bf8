"""Cascaded matching of detections to tracks, in three passes.

1. Confirmed tracks are matched with high-score detections.
2. Confirmed tracks that are still unmatched and were seen recently are matched with low-score
   detections, which are often the visible part of an occluded object.
3. Tentative tracks are matched with the remaining high-score detections.
"""

import numpy as np
import numpy.typing as npt

from streamproc.stages.tracking.association import (
    Floats,
    Indices,
    assigned,
    cosine_distances,
    overlaps,
)
from streamproc.stages.tracking.detections import Detections
from streamproc.stages.tracking.kalman import POSITION, POSITION_VAR, corner_form, object_sizes
from streamproc.stages.tracking.parameters import TrackParameters
from streamproc.stages.tracking.state import TrackTable

Mask = npt.NDArray[np.bool_]

_FORBIDDEN = 2.0  # any cost of 1 or more is never matched


def matched(p: TrackParameters, table: TrackTable, found: Detections) -> tuple[Indices, Indices]:
    """Return rows of `table` (predicted to now) and their matched indices in `found`, as pairs."""
    confirmed: Mask = np.greater(table.ids, 0)
    recent: Mask = confirmed & (table.missed <= p.low_unseen_frames)
    high: Mask = np.greater_equal(found.scores, p.high_threshold)
    pairs: list[tuple[Indices, Indices]] = []
    free_rows = np.ones(len(table), dtype=bool)
    free_columns = np.ones(len(found), dtype=bool)
    for row_mask, column_mask, floor, is_high in (
        (confirmed, high, p.match_floor, True),
        (recent, ~high, p.low_match_floor, False),
        (~confirmed, high, p.tentative_match_floor, True),
    ):
        (rows,) = (row_mask & free_rows).nonzero()
        (columns,) = (column_mask & free_columns).nonzero()
        if not len(rows) or not len(columns):
            continue
        costs = _motion_costs(p, table, rows, found, columns, floor)
        if is_high and p.appearance_weight and found.features.shape[1]:
            costs = _with_appearance(p, costs, table.features[rows], found.features[columns])
        costs += p.class_penalty * (table.classes[rows][:, None] != found.classes[columns])
        costs[table.groups[rows][:, None] != found.groups[columns]] = _FORBIDDEN
        left, right = assigned(costs, 1.0)
        pairs.append((rows[left], columns[right]))
        free_rows[rows[left]] = False
        free_columns[columns[right]] = False
    if not pairs:
        nothing = np.empty(0, dtype=np.intp)
        return nothing, nothing
    return np.concatenate([rows for rows, _ in pairs]), np.concatenate([c for _, c in pairs])


def _motion_costs(
    p: TrackParameters,
    table: TrackTable,
    rows: Indices,
    found: Detections,
    columns: Indices,
    floor: float,
) -> Floats:
    """Return costs `(rows, columns)`: 0 for the predicted box with score 1, 1 at `floor`."""
    position = table.kinematics[rows, POSITION]
    widening_px = np.minimum(
        p.widening * np.sqrt(table.kinematics[rows, POSITION_VAR, :2]),
        p.max_widening * object_sizes(position),
    )
    overlap = overlaps(corner_form(position), found.boxes_px[columns], widening_px)
    trust = 1.0 - p.score_weight * (1.0 - found.scores[columns])
    return (1.0 - overlap * trust) / (1.0 - floor)


def _with_appearance(
    p: TrackParameters,
    costs: Floats,
    tracks: npt.NDArray[np.float32],
    detections: npt.NDArray[np.float32],
) -> Floats:
    """Add the appearance distance to the costs of pairs that pass the motion gate.

    Only pairs in which both sides have features change. A similar object elsewhere never matches.
    """
    seen: Mask = np.any(tracks, axis=1, keepdims=True)
    shown: Mask = np.any(detections, axis=1, keepdims=True)
    known = (costs < 1.0) & seen & shown.T
    distances = cosine_distances(tracks.astype(np.float64), detections.astype(np.float64))
    blended = (1.0 - p.appearance_weight) * costs
    blended += p.appearance_weight * distances / p.appearance_limit
    return np.where(known, blended, costs)
