"""From a decoder's frame to upright BGR arrays, in as few passes over the pixels as possible.

Each output is one swscale pass from the decoder's own format, then one copy into its slot
(PyAV cannot scale into foreign memory). BILINEAR widens its filter when it makes an image
smaller, so it averages; it costs what FAST_BILINEAR costs (.49 against .45 ms, 768x576 to 416x416).
"""

from typing import Any, Final

import numpy as np
from av.video.reformatter import Interpolation, VideoReformatter

from streamproc.source.ring import Image
from streamproc.source.types import FrameOutputs, letterbox_size

_PADDING: Final = 114


class Painter:
    """Writes frames of one source into slots; one per source (swscale keeps its tables)."""

    def __init__(self, quarter_turns: int, outputs: FrameOutputs, width: int, height: int) -> None:
        self._turns = quarter_turns
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
            self._draw(self._for_full, frame, self._size, full)
        if scaled is not None and self._scaled is not None:
            width, height = self._scaled
            if self._letterbox:
                scaled[height:] = _PADDING
                scaled[:height, width:] = _PADDING
            self._draw(self._for_scaled, frame, self._scaled, scaled[:height, :width])

    def _draw(
        self, reformatter: VideoReformatter, frame: Any, size: tuple[int, int], target: Image
    ) -> None:
        width, height = size if self._turns % 2 == 0 else (size[1], size[0])
        drawn = reformatter.reformat(
            frame, width, height, "bgr24", interpolation=Interpolation.BILINEAR, threads=1
        )
        plane = drawn.planes[0]
        rows = np.frombuffer(memoryview(plane), np.uint8).reshape(-1, plane.line_size)[
            :height, : width * 3
        ]
        if self._turns:
            np.copyto(target, np.rot90(rows.reshape(height, width, 3), self._turns))
        elif target.flags.c_contiguous:
            np.copyto(target.reshape(height, width * 3), rows)
        else:
            np.copyto(target, rows.reshape(height, width, 3))


def quarter_turns(rotation_degrees: float) -> int:
    """Counterclockwise quarter turns (0..3) nearest to a display matrix's angle."""
    return round(rotation_degrees / 90) % 4


def upright_size(width: int, height: int, turns: int) -> tuple[int, int]:
    return (height, width) if turns % 2 else (width, height)
