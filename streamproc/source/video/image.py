"""Colour conversion, scaling and rotation of a decoded frame to upright BGR arrays.

It uses as few passes over the pixels as possible. The full image is one swscale pass. For the
scaled one, swscale scales the planes of common formats and OpenCV converts them to BGR directly in
the slot: .33 ms from 768x576 to 416x416, where swscale alone takes .54. Other formats, and colour
spaces that OpenCV's formula does not cover, are converted by swscale. Its BILINEAR averages: it
widens its filter when it makes an image smaller.
"""

import struct
from typing import Any, Final, NamedTuple

import cv2
import numpy as np
from av.video.reformatter import Interpolation, VideoReformatter

from models.sizes import SourceShape
from streamproc.contract.bounds import MAX_TERM
from streamproc.source.types import FrameOutputs, Image

_PLANAR: Final = "yuv420p"
_BT601: Final = frozenset({2, 5, 6})
"""Matrix coefficients of ISO/IEC 23091-2: unspecified, 625 lines, 525 lines."""
_FULL_RANGE: Final = 2
_MATRIX: Final = struct.Struct("<9i")
"""Format of a display matrix: a b u, c d v, x y w."""

cv2.setNumThreads(0)  # a decoder has one core; the fork server must have one thread


class Upright(NamedTuple):
    """Steps that make a stored image upright: first mirror left to right, then rotate.

    `turns`: quarter turns, counterclockwise.
    """

    turns: int = 0
    mirrored: bool = False


class FrameConverter:
    """Writes frames of one source into slots; one per source (swscale keeps its tables)."""

    def __init__(
        self,
        upright: "Upright | int",
        outputs: FrameOutputs,
        source: SourceShape,
    ) -> None:
        upright = Upright(upright) if isinstance(upright, int) else upright
        self._turns, self._mirrored = upright
        self._size = (source.width, source.height)
        self._scaled = outputs.scaled.scaled_size(source) if outputs.scaled else None
        self._pad_value = outputs.scaled.pad_value if outputs.scaled else 0
        self._for_full = VideoReformatter()
        self._for_scaled = VideoReformatter()

    def paint(self, frame: Any, full: Image | None, scaled: Image | None) -> None:
        """Fill the slot's images from a decoded frame of any size (sizes may change)."""
        if full is not None:
            self._write(self._packed(self._for_full, frame, self._size), full)
        if scaled is not None and self._scaled is not None:
            width, height = self._scaled
            scaled[height:] = self._pad_value
            scaled[:height, width:] = self._pad_value
            target = scaled[:height, :width]
            if not self._is_plain(frame):
                self._write(self._packed(self._for_scaled, frame, self._scaled), target)
            elif self._turns or self._mirrored:
                self._write(self._converted(frame, self._scaled, None), target)
            else:
                self._converted(frame, self._scaled, target)

    def _is_plain(self, frame: Any) -> bool:
        """Whether OpenCV's conversion is correct: BT.601, limited range, even width and height."""
        width, height = self._scaled or (0, 0)
        return (
            frame.format.name == _PLANAR
            and frame.colorspace in _BT601
            and frame.color_range != _FULL_RANGE
            and width % 2 == height % 2 == 0
        )

    def _lying(self, size: tuple[int, int]) -> tuple[int, int]:
        """Return (width, height) before the rotation."""
        return size if self._turns % 2 == 0 else (size[1], size[0])

    def _packed(self, reformatter: VideoReformatter, frame: Any, size: tuple[int, int]) -> Image:
        """Scale and convert with swscale; the result is not upright yet."""
        width, height = self._lying(size)
        drawn = reformatter.reformat(
            frame, width, height, "bgr24", interpolation=Interpolation.BILINEAR, threads=1
        )
        return _rows(drawn.planes[0], height, 3 * width).reshape(height, width, 3)

    def _converted(self, frame: Any, size: tuple[int, int], target: Image | None) -> Image:
        """Scale with swscale, convert with OpenCV, into `target` if given."""
        width, height = self._lying(size)
        drawn = self._for_scaled.reformat(
            frame, width, height, _PLANAR, interpolation=Interpolation.BILINEAR, threads=1
        )
        planes = np.empty((height * 3 // 2, width), np.uint8)
        planes[:height] = _rows(drawn.planes[0], height, width)
        chroma = planes[height:].reshape(2, height // 2, width // 2)
        chroma[0] = _rows(drawn.planes[1], height // 2, width // 2)
        chroma[1] = _rows(drawn.planes[2], height // 2, width // 2)
        return np.asarray(cv2.cvtColor(planes, cv2.COLOR_YUV2BGR_I420, target), np.uint8)

    def _write(self, image: Image, target: Image) -> None:
        image = image[:, ::-1] if self._mirrored else image
        np.copyto(target, np.rot90(image, self._turns) if self._turns else image)


def _rows(plane: Any, height: int, n_bytes: int) -> Image:
    """Return a plane as (height, n_bytes), without the padding of its lines."""
    lines = np.frombuffer(memoryview(plane), np.uint8).reshape(-1, plane.line_size)
    return lines[:height, :n_bytes]


def upright(frame: Any) -> Upright:
    """Return the rotation of a decoded frame's display matrix, to the nearest quarter turn."""
    for data in frame.side_data:
        if data.type.name == "DISPLAYMATRIX" and len(bytes(data)) == _MATRIX.size:
            a, b, _, c, d, *_ = _MATRIX.unpack(bytes(data))
            if a * d != b * c:
                return by_matrix(a, b, c, d)
    return Upright()


def by_matrix(a: int, b: int, c: int, d: int) -> Upright:
    """Return the steps for a matrix that maps the stored point (x, y) to (ax + cy, bx + dy)."""
    lies_along_x = abs(c) > abs(d)
    turns = (1 if c > 0 else 3) if lies_along_x else (0 if d > 0 else 2)
    return Upright(turns, a * d < b * c)


def sample_aspect(stream: Any, codec: Any, turns: int) -> tuple[int, int]:
    """Return width : height of an upright pixel, in lowest terms; (1, 1) when unknown.

    The container's value has priority over the codec's, as in players.
    """
    ratio = stream.sample_aspect_ratio or codec.sample_aspect_ratio
    if not ratio or not 0 < ratio.numerator <= MAX_TERM or not 0 < ratio.denominator <= MAX_TERM:
        return 1, 1
    return upright_size(ratio.numerator, ratio.denominator, turns)


def upright_size(width: int, height: int, turns: int) -> tuple[int, int]:
    return (height, width) if turns % 2 else (width, height)
