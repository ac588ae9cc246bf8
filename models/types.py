"""Result types of models: plain values of numpy arrays, checked once, at construction."""

from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

Image: TypeAlias = npt.NDArray[np.uint8]
"""(height, width, 3) uint8, blue green red."""

Floats: TypeAlias = npt.NDArray[np.float32]
Ints: TypeAlias = npt.NDArray[np.int32]


@dataclass(frozen=True, slots=True, eq=False)
class Detections:
    """Detected objects of one frame, best score first.

    boxes_px   (n, 4) float32: left, top, right, bottom in source pixels, clipped to the frame
    scores     (n,) float32 in 0..1
    class_ids  (n,) int32: index into the manifest's `classes`
    """

    boxes_px: Floats
    scores: Floats
    class_ids: Ints

    def __post_init__(self) -> None:
        n = len(self.scores)
        _check("boxes_px", self.boxes_px, (n, 4), np.float32)
        _check("scores", self.scores, (n,), np.float32)
        _check("class_ids", self.class_ids, (n,), np.int32)

    def __len__(self) -> int:
        return len(self.scores)


@dataclass(frozen=True, slots=True, eq=False)
class TextLine:
    """One recognised line of text.

    confidence  mean probability of its characters, 0..1
    quad_px     (4, 2) float32: x, y of the corners in pixels of the image that was read (not of the
                crop), clockwise from the top left as the text reads
    """

    text: str
    confidence: float
    quad_px: Floats

    def __post_init__(self) -> None:
        _check("quad_px", self.quad_px, (4, 2), np.float32)


def _check(name: str, array: npt.NDArray[Any], shape: tuple[int, ...], dtype: type) -> None:
    if array.shape != shape or array.dtype != dtype:
        raise ValueError(
            f"{name} must be {shape} {dtype.__name__}, not {array.shape} {array.dtype}"
        )
