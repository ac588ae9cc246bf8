"""Conversion of a tracked frame's arrays to the targets that a client receives."""

import base64
import math
from collections.abc import Callable

import numpy as np
import numpy.typing as npt
from msgspec import UNSET

from models.embedding import digest
from streamproc.contract.chunk import Roi, Target
from streamproc.contract.records import TrackVector
from streamproc.stages.perception import Perception

NEW_BEST = 0.02  # a track's vector is sent again when its confidence has grown by this much


def targets(
    seen: Perception,
    track_ids: npt.NDArray[np.int32],
    size: tuple[int, int],
    class_name: Callable[[int], str],
    *,
    include_vector: bool,
) -> tuple[Target, ...]:
    """Return the targets of confirmed tracks, sorted by track id.

    `size` is (width, height) of the frame, px. `class_name(track_id)` returns the class name.
    """
    out = []
    for place in sorted(np.flatnonzero(track_ids).tolist(), key=lambda i: int(track_ids[i])):
        track_id = int(track_ids[place])
        text = seen.texts.get(place)
        vector = _vector(seen, place)
        out.append(
            Target(
                track_id=track_id,
                class_name=class_name(track_id),
                confidence=round(float(seen.scores[place]), 4),
                roi=roi(seen.boxes_px[place], size),
                text=UNSET if text is None else text[0],
                text_confidence=UNSET if text is None else round(text[1], 4),
                feature_digest=UNSET if vector is None else digest(vector),
                feature=_encoded(vector) if vector is not None and include_vector else UNSET,
            )
        )
    return tuple(out)


def best_vectors(
    seen: Perception, track_ids: npt.NDArray[np.int32], best: dict[int, float]
) -> list[TrackVector]:
    """Return the vectors of tracks whose confidence is `NEW_BEST` above their best; updates `best`.

    `best` maps a track id to the confidence at which its vector was last sent.
    """
    out: list[TrackVector] = []
    if seen.features is None:
        return out
    for place in np.flatnonzero(track_ids).tolist():
        vector = _vector(seen, place)
        track_id, confidence = int(track_ids[place]), round(float(seen.scores[place]), 4)
        if vector is None or confidence < best.get(track_id, -1.0) + NEW_BEST:
            continue
        best[track_id] = confidence
        out.append(TrackVector(track_id, confidence, vector.astype("<f2").tobytes()))
    return out


def roi(box_px: npt.NDArray[np.float32], size: tuple[int, int]) -> Roi:
    """Return a box (ltrb, px) in whole pixels, clipped to the frame, at least 1 x 1 pixel."""
    width, height = size
    box_left, box_top, box_right, box_bottom = box_px.tolist()
    left = min(max(math.floor(box_left), 0), width - 1)
    top = min(max(math.floor(box_top), 0), height - 1)
    right = min(max(math.ceil(box_right), left + 1), width)
    bottom = min(max(math.ceil(box_bottom), top + 1), height)
    return Roi(left, top, right - left, bottom - top)


def _vector(seen: Perception, place: int) -> npt.NDArray[np.float32] | None:
    if seen.features is None or np.isnan(seen.features[place, 0]):
        return None
    vector: npt.NDArray[np.float32] = seen.features[place]
    return vector


def _encoded(vector: npt.NDArray[np.float32]) -> str:
    return base64.b64encode(vector.astype("<f2").tobytes()).decode()
