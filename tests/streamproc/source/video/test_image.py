"""Colours and directions survive the way from a decoder's frame to a slot, whichever it is."""

import itertools
from typing import Any

import av
import numpy as np
import pytest
from av.video.reformatter import ColorRange, Colorspace

from models.sizes import InputFit, SourceShape
from streamproc.source.types import FrameOutputs, Image
from streamproc.source.video.image import FrameConverter, Upright, by_matrix, upright_size

QUARTERS_BGR = np.array(
    [[[200, 40, 30], [30, 180, 60]], [[40, 50, 210], [220, 220, 220]]], np.uint8
)
"""Blue, green; red, near white."""
SIZE = (96, 64)


def quarters(width: int, height: int) -> Image:
    return QUARTERS_BGR.repeat(height // 2, axis=0).repeat(width // 2, axis=1)


def decoded(colorspace: int, color_range: ColorRange, pixels: str = "yuv420p") -> av.VideoFrame:
    """The four colours as a decoder gives them, and labelled as what they are."""
    matrix = Colorspace.ITU709 if colorspace == Colorspace.ITU709 else Colorspace.ITU601
    frame = av.VideoFrame.from_ndarray(quarters(*SIZE), format="bgr24").reformat(
        format=pixels,
        dst_colorspace=matrix,
        src_color_range=ColorRange.JPEG,
        dst_color_range=color_range,
    )
    frame.colorspace, frame.color_range = colorspace, color_range
    return frame


def painted(frame: Any, turns: int, scaled: tuple[int, int], letterbox: bool = False) -> Image:
    outputs = FrameOutputs(full=True, scaled=InputFit(*scaled, letterbox))
    width, height = upright_size(*SIZE, turns)
    full = np.zeros((height, width, 3), np.uint8)
    target = np.zeros((scaled[1], scaled[0], 3), np.uint8)
    FrameConverter(turns, outputs, SourceShape(width, height)).paint(frame, full, target)
    assert_quarters(full, turns)
    return target


def assert_quarters(image: Image, turns: int) -> None:
    height, width = image.shape[:2]
    centres = image[height // 4 :: height // 2, width // 4 :: width // 2].astype(int)
    assert np.abs(centres - np.rot90(QUARTERS_BGR.astype(int), turns)).max() <= 8


@pytest.mark.parametrize("turns", [0, 1, 2, 3])
@pytest.mark.parametrize("scaled", [(48, 32), (40, 40), (33, 31)], ids=str)
@pytest.mark.parametrize(
    ("colorspace", "color_range"),
    [
        (2, ColorRange.UNSPECIFIED),
        (5, ColorRange.MPEG),
        (6, ColorRange.MPEG),
        (6, ColorRange.JPEG),
        (1, ColorRange.MPEG),
    ],
)
def test_colours_stay_where_and_what_they_are(
    colorspace: int, color_range: ColorRange, scaled: tuple[int, int], turns: int
) -> None:
    frame = decoded(colorspace, color_range)
    assert_quarters(painted(frame, turns, scaled), turns)


@pytest.mark.parametrize("pixels", ["yuv420p", "yuv422p", "yuv444p", "nv12", "gbrp"])
def test_any_format_is_painted(pixels: str) -> None:
    frame = decoded(6, ColorRange.JPEG if pixels == "gbrp" else ColorRange.MPEG, pixels)
    assert_quarters(painted(frame, 0, (48, 32)), 0)


@pytest.mark.parametrize("turns", [0, 1])
@pytest.mark.parametrize("box", [(64, 64), (90, 48)], ids=str)
def test_a_letterbox_is_padded_and_nothing_else_is_touched(
    box: tuple[int, int], turns: int
) -> None:
    target = painted(decoded(6, ColorRange.MPEG), turns, box, letterbox=True)
    shape = SourceShape(*upright_size(*SIZE, turns))
    width, height = InputFit(*box, letterbox=True).scaled_size(shape)
    assert_quarters(target[:height, :width], turns)
    assert (target[height:] == 114).all()
    assert (target[:height, width:] == 114).all()


def test_both_ways_give_the_same_picture() -> None:
    """What OpenCV converts is what swscale would have made of it, but for rounding.

    In grey: of colours, swscale makes two samples of chroma where OpenCV repeats one.
    """
    noise = np.random.default_rng(0).integers(0, 256, (8, 12, 1), np.uint8)
    picture = noise.repeat(8, axis=0).repeat(8, axis=1).repeat(3, axis=2)
    frame = av.VideoFrame.from_ndarray(picture, format="bgr24").reformat(format="yuv420p")
    frame.color_range = ColorRange.MPEG
    target = np.zeros((32, 48, 3), np.uint8)
    FrameConverter(0, FrameOutputs(full=False, scaled=InputFit(48, 32)), SourceShape(*SIZE)).paint(
        frame, None, target
    )
    swscale = frame.reformat(48, 32, "bgr24", interpolation="BILINEAR").to_ndarray()
    assert np.abs(target.astype(int) - swscale).max() <= 3


SIGNS = list(itertools.product((-1, 1), repeat=2))
MATRICES = [(a, 0, 0, d) for a, d in SIGNS] + [(0, b, c, 0) for b, c in SIGNS]


@pytest.mark.parametrize("matrix", MATRICES)
def test_a_matrix_is_followed_in_all_its_eight_ways(matrix: tuple[int, int, int, int]) -> None:
    """Each corner of the stored picture comes to where the matrix puts it."""
    a, b, c, d = matrix
    steps = by_matrix(*(65536 * number for number in matrix))
    stored = np.arange(4).reshape(2, 2)
    shown = np.rot90(stored[:, ::-1] if steps.mirrored else stored, steps.turns)
    corners = {(x, y): int(stored[y, x]) for x in (0, 1) for y in (0, 1)}
    placed = {(a * x + c * y, b * x + d * y): value for (x, y), value in corners.items()}
    left, top = min(x for x, _ in placed), min(y for _, y in placed)
    for (x, y), value in placed.items():
        assert shown[y - top, x - left] == value


@pytest.mark.parametrize("scaled", [(48, 32), (33, 31)], ids=str)
def test_a_mirrored_picture_is_painted_so(scaled: tuple[int, int]) -> None:
    frame = decoded(5, ColorRange.MPEG)
    full = np.zeros((SIZE[1], SIZE[0], 3), np.uint8)
    target = np.zeros((scaled[1], scaled[0], 3), np.uint8)
    outputs = FrameOutputs(full=True, scaled=InputFit(*scaled))
    FrameConverter(Upright(0, mirrored=True), outputs, SourceShape(*SIZE)).paint(
        frame, full, target
    )
    for image in (full, target):
        assert_quarters(image[:, ::-1], 0)
