"""Resize and letterbox of an image, and the inverse transform of boxes. Resampling uses cv2."""

from dataclasses import dataclass

import cv2
import numpy as np

from models.manifest import InputOptions
from models.types import Floats, Image

Size = tuple[int, int]
"""(width, height) in pixels."""


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


def scaled_size(options: InputOptions, source_size: Size) -> Size:
    """Size of a source frame after scaling, before padding. A video decoder should output it.

    plain: the network's size. letterbox: the largest size with the source's aspect ratio that fits.
    """
    if options.resize == "plain":
        return options.width, options.height
    width, height = source_size
    ratio = min(options.width / width, options.height / height)
    return (
        min(options.width, max(1, round(width * ratio))),
        min(options.height, max(1, round(height * ratio))),
    )


def geometry(options: InputOptions, source_size: Size) -> Geometry:
    width, height = scaled_size(options, source_size)
    return Geometry(width / source_size[0], height / source_size[1], source_size)


def fit(image: Image, options: InputOptions, source_size: Size) -> Image:
    """Resize and pad to the network's input (height, width, 3).

    An image that has the scaled size already is not resampled.
    """
    size = scaled_size(options, source_size)
    if (image.shape[1], image.shape[0]) != size:
        image = np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_LINEAR), np.uint8)
    if size == (options.width, options.height):
        return np.ascontiguousarray(image)
    padded = np.full((options.height, options.width, 3), options.pad_value, np.uint8)
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
