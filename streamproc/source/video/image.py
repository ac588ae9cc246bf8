"""From a decoder's frame to upright BGR arrays, in as few passes over the pixels as possible.

The full picture is one swscale pass. For the scaled one, swscale scales the planes of the common
formats and OpenCV makes BGR of them, straight into the slot: .33 ms from 768x576 to 416x416, where
swscale alone takes .54. Other formats, and colours that OpenCV's formula is not for, are swscale's.
Its BILINEAR widens its filter when it makes an image smaller, so it averages.
"""

import struct
from typing import Any, Final, NamedTuple

import cv2
import numpy as np
from av.video.reformatter import Interpolation, VideoReformatter

from streamproc.contract.bounds import MAX_TERM
from streamproc.source.types import FrameOutputs, Image, letterbox_size

_PADDING: Final = 114
_PLANAR: Final = "yuv420p"
_BT601: Final = frozenset({2, 5, 6})
"""Matrix coefficients of ISO/IEC 23091-2: not said, 625 lines, 525 lines."""
_FULL_RANGE: Final = 2
_MATRIX: Final = struct.Struct("<9i")
"""Of a display matrix: a b u, c d v, x y w."""

cv2.setNumThreads(0)  # a decoder has one core; the nursery must have one thread


class Upright(NamedTuple):
    """How a stored picture is made upright: mirrored left to right first, then turned.

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
        width: int,
        height: int,
    ) -> None:
        upright = Upright(upright) if isinstance(upright, int) else upright
        self._turns, self._mirrored = upright
        self._size = (width, height)
        self._scaled = outputs.scaled
        if outputs.scaled and outputs.letterbox:
            self._scaled = letterbox_size(width, height, outputs.scaled)
        self._letterbox = outputs.letterbox
        self._for_full = VideoReformatter()
        self._for_scaled = VideoReformatter()

    def paint(self, frame: Any, full: Image | None, scaled: Image | None) -> None:
        """Fill the slot's images from a decoded frame of any size (streams may change theirs)."""
        if full is not None:
            self._write(self._packed(self._for_full, frame, self._size), full)
        if scaled is not None and self._scaled is not None:
            width, height = self._scaled
            if self._letterbox:
                scaled[height:] = _PADDING
                scaled[:height, width:] = _PADDING
            target = scaled[:height, :width]
            if not self._is_plain(frame):
                self._write(self._packed(self._for_scaled, frame, self._scaled), target)
            elif self._turns or self._mirrored:
                self._write(self._converted(frame, self._scaled, None), target)
            else:
                self._converted(frame, self._scaled, target)

    def _is_plain(self, frame: Any) -> bool:
        """Whether OpenCV's conversion is right: BT.601 in its limited range, whole chroma."""
        width, height = self._scaled or (0, 0)
        return (
            frame.format.name == _PLANAR
            and frame.colorspace in _BT601
            and frame.color_range != _FULL_RANGE
            and width % 2 == height % 2 == 0
        )

    def _lying(self, size: tuple[int, int]) -> tuple[int, int]:
        """(width, height) before the turn."""
        return size if self._turns % 2 == 0 else (size[1], size[0])

    def _packed(self, reformatter: VideoReformatter, frame: Any, size: tuple[int, int]) -> Image:
        """Scale and convert with swscale, not yet upright."""
        width, height = self._lying(size)
        drawn = reformatter.reformat(
            frame, width, height, "bgr24", interpolation=Interpolation.BILINEAR, threads=1
        )
        return _rows(drawn.planes[0], height, 3 * width).reshape(height, width, 3)

    def _converted(self, frame: Any, size: tuple[int, int], target: Image | None) -> Image:
        """Scale with swscale, convert with OpenCV: into `target` if there is one."""
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
    """(height, n_bytes) of a plane, without the padding of its lines."""
    lines = np.frombuffer(memoryview(plane), np.uint8).reshape(-1, plane.line_size)
    return lines[:height, :n_bytes]


def upright(frame: Any) -> Upright:
    """Return what a decoded frame's display matrix asks for, to the nearest quarter turn."""
    for data in frame.side_data:
        if data.type.name == "DISPLAYMATRIX" and len(bytes(data)) == _MATRIX.size:
            a, b, _, c, d, *_ = _MATRIX.unpack(bytes(data))
            if a * d != b * c:
                return by_matrix(a, b, c, d)
    return Upright()


def by_matrix(a: int, b: int, c: int, d: int) -> Upright:
    """Return the steps for a matrix that shows the stored point (x, y) at (ax + cy, bx + dy)."""
    lies_along_x = abs(c) > abs(d)
    turns = (1 if c > 0 else 3) if lies_along_x else (0 if d > 0 else 2)
    return Upright(turns, a * d < b * c)


def sample_aspect(stream: Any, codec: Any, turns: int) -> tuple[int, int]:
    """Return width : height of an upright pixel, in lowest terms; (1, 1) when nothing tells it.

    The container's word goes before the codec's, as for players.
    """
    told = stream.sample_aspect_ratio or codec.sample_aspect_ratio
    if not told or not 0 < told.numerator <= MAX_TERM or not 0 < told.denominator <= MAX_TERM:
        return 1, 1
    return upright_size(told.numerator, told.denominator, turns)


def upright_size(width: int, height: int, turns: int) -> tuple[int, int]:
    return (height, width) if turns % 2 else (width, height)
