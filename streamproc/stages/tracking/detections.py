"""Validated detections of one frame, in one canonical order: the input of the tracker."""

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from streamproc.stages.tracking.class_voting import ClassGroups


@dataclass(frozen=True, slots=True)
class Detections:
    """Usable detections, best score first, ties by box and class: independent of input order."""

    places: npt.NDArray[np.intp]
    """`(n,)` index of each detection in the input."""
    boxes_px: npt.NDArray[np.float64]
    """`(n, 4)` left, top, right, bottom."""
    scores: npt.NDArray[np.float64]
    classes: npt.NDArray[np.int32]
    groups: npt.NDArray[np.int32]
    """`(n,)` group of the class, see `ClassGroups`."""
    features: npt.NDArray[np.float32]
    """`(n, d)` unit vectors, zeros for a detection without a feature."""

    def __len__(self) -> int:
        return len(self.places)

    @classmethod
    def checked(
        cls,
        boxes_px: npt.NDArray[np.float32],
        scores: npt.NDArray[np.float32],
        class_ids: npt.NDArray[np.int32],
        features: npt.NDArray[np.float32] | None,
        *,
        class_groups: ClassGroups,
        least_score: float,
        n_features: int,
    ) -> Self:
        """Keep boxes that are finite, have an area and a score of at least `least_score`.

        `n_features` is the length of earlier feature vectors, 0 before the first.
        Raises ValueError when the array lengths disagree, or when the length of the feature
        vectors is not `n_features`.
        """
        n = len(scores)
        if boxes_px.shape != (n, 4) or scores.shape != (n,) or class_ids.shape != (n,):
            raise ValueError(
                f"boxes {boxes_px.shape}, scores {scores.shape} and classes {class_ids.shape}"
            )
        boxes = boxes_px.astype(np.float64)
        usable = np.isfinite(boxes).all(axis=1) & (scores >= least_score)
        usable &= (boxes[:, 2] > boxes[:, 0]) & (boxes[:, 3] > boxes[:, 1])
        (places,) = usable.nonzero()
        ordered = scores[places]
        if not (ordered[1:] < ordered[:-1]).all():  # detectors mostly return them sorted
            keys = (class_ids, boxes[:, 3], boxes[:, 2], boxes[:, 1], boxes[:, 0], -scores)
            places = places[np.lexsort(tuple(key[places] for key in keys))]
        classes = class_ids[places].astype(np.int32)
        return cls(
            places=places,
            boxes_px=boxes[places],
            scores=scores[places].astype(np.float64),
            classes=classes,
            groups=class_groups.names(classes),
            features=_unit_features(features, n, places, n_features),
        )


def unit(vectors: npt.NDArray[np.float64]) -> npt.NDArray[np.float32]:
    """Return the rows scaled to length 1; a row of length 0, or not finite, becomes zeros."""
    norms = np.sqrt(np.einsum("nd,nd->n", vectors, vectors))[:, None]
    usable = np.isfinite(norms) & (norms > 0.0)
    return np.where(usable, vectors / np.where(usable, norms, 1.0), 0.0).astype(np.float32)


def _unit_features(
    features: npt.NDArray[Any] | None, n: int, places: npt.NDArray[np.intp], n_features: int
) -> npt.NDArray[np.float32]:
    if features is None or n == 0:
        return np.zeros((len(places), n_features), np.float32)
    if features.ndim != 2 or len(features) != n:
        raise ValueError(f"features {features.shape} for {n} detections")
    if n_features and features.shape[1] != n_features:
        raise ValueError(f"features have {features.shape[1]} numbers, earlier ones {n_features}")
    return unit(features[places].astype(np.float64))
