"""Sizes of frames that are scaled to a network's input. Integers only: the same on every machine.

Import-light: the decoder scales frames by it, the detector maps boxes back by it.
"""

from typing import NamedTuple

Size = tuple[int, int]
"""(width, height) in pixels."""

MAX_PIXEL_ASPECT = 4
"""Pixels that are said to be longer than this are taken for square: their header is wrong."""


class SourceShape(NamedTuple):
    """Shape of upright frames; `pixel_aspect` is width : height of a pixel."""

    width: int
    height: int
    pixel_aspect: tuple[int, int] = (1, 1)

    @property
    def proportions(self) -> Size:
        """Width : height of the picture as a person should see it."""
        across, up = self.pixel_aspect
        if min(across, up) < 1 or max(across, up) > MAX_PIXEL_ASPECT * min(across, up):
            return self.width, self.height
        return self.width * across, self.height * up


class InputFit(NamedTuple):
    """How a frame fits into a network's input of at most width x height pixels.

    Plain: stretched to it. `letterbox`: the largest size with the frame's true proportions, in the
    top-left corner; the rest has the value `pad_value`. With a `grid`, the input itself is the
    letterboxed size, each side rounded up to a multiple of `grid`.
    """

    width: int
    height: int
    letterbox: bool = False
    grid: int = 0
    pad_value: int = 114

    def scaled_size(self, source: SourceShape) -> Size:
        """Size of the scaled frame, before padding; letterboxed sides are even where they fit."""
        if not self.letterbox:
            return self.width, self.height
        width, height = source.proportions
        if self.width * height <= self.height * width:
            return self.width, _even(self.width * height, width, self.height)
        return _even(self.height * width, height, self.width), self.height

    def network_size(self, source: SourceShape) -> Size:
        """Size of the network's input for frames of this shape."""
        if not self.grid:
            return self.width, self.height
        width, height = self.scaled_size(source)
        return round_up(width, self.grid), round_up(height, self.grid)


def _even(numerator: int, denominator: int, most: int) -> int:
    """Return the even number from 2 to `most` that is nearest to the quotient."""
    nearest = 2 * ((numerator + denominator) // (2 * denominator))
    return min(max(2, nearest), most - most % 2 or most)


def round_up(length: int, grid: int) -> int:
    """The least multiple of `grid` that is not less than `length`."""
    return -(-length // grid) * grid
