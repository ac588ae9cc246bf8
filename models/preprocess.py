"""Resize and letterbox of an image, and the inverse transform of boxes. Resampling uses cv2."""

from dataclasses import dataclass

import cv2
import numpy as np

from models.sizes import InputFit, Size, SourceShape
from models.types import Floats, Image


@dataclass(frozen=True, slots=True)
class Geometry:
    """Transform from network to source pixels: source = network / scale, clipped to the frame."""

    scale_x: float
    scale_y: float
    source_size: Size

    def to_source(self, boxes: Floats) -> Floats:
        """Convert (n, 4) float32 ltrb from network to source pixels, clipped to the frame."""
        width, height = self.source_size
        scale = np.array([self.scale_x, self.scale_y] * 2, dtype=np.float32)
        out: Floats = boxes / scale
        np.clip(out[:, 0::2], 0, width, out=out[:, 0::2])
        np.clip(out[:, 1::2], 0, height, out=out[:, 1::2])
        return out


def geometry(input_fit: InputFit, source: SourceShape) -> Geometry:
    width, height = input_fit.scaled_size(source)
    scale_x, scale_y = width / source.width, height / source.height
    return Geometry(scale_x, scale_y, (source.width, source.height))


def fit(image: Image, input_fit: InputFit, source: SourceShape) -> Image:
    """Resize and pad to the network's input (height, width, 3).

    An image that has the scaled size already is not resampled.
    """
    size = input_fit.scaled_size(source)
    if (image.shape[1], image.shape[0]) != size:
        image = np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_LINEAR), np.uint8)
    width, height = input_fit.network_size(source)
    if size == (width, height):
        return np.ascontiguousarray(image)
    padded = np.full((height, width, 3), input_fit.pad_value, np.uint8)
    padded[: size[1], : size[0]] = image
    return padded


def crops(image: Image, boxes_px: Floats) -> list[Image]:
    """Views of the boxes, enlarged to whole pixels; an empty box gives the pixel at its corner.

    `boxes_px` (n, 4) float32 ltrb; boxes may extend beyond the image's edge.
    """
    height, width = image.shape[:2]
    low = np.floor(boxes_px[:, :2]).clip(0, (width - 1, height - 1)).astype(int)
    high = np.ceil(boxes_px[:, 2:]).clip(low + 1, (width, height)).astype(int)
    return [image[t:b, le:r] for (le, t), (r, b) in zip(low, high, strict=True)]
