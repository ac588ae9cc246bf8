"""Sizes of letterboxed frames and of networks, by properties and by shapes of the field."""

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.sizes import MAX_PIXEL_ASPECT, InputFit, SourceShape

SIDES = st.integers(1, 8192)
TERMS = st.integers(1, 64)
SHAPES = st.builds(SourceShape, SIDES, SIDES, st.tuples(TERMS, TERMS))
SQUARE = InputFit(416, 416, letterbox=True)
GRID = InputFit(416, 416, letterbox=True, grid=32)


@pytest.mark.parametrize(
    ("width", "height", "scaled", "network"),
    [
        (1920, 1080, (416, 234), (416, 256)),
        (1280, 720, (416, 234), (416, 256)),
        (854, 480, (416, 234), (416, 256)),
        (768, 576, (416, 312), (416, 320)),
        (720, 576, (416, 332), (416, 352)),
        (720, 480, (416, 278), (416, 288)),
        (1440, 1080, (416, 312), (416, 320)),
        (1080, 1920, (234, 416), (256, 416)),
        (2000, 2000, (416, 416), (416, 416)),
        (5000, 1, (416, 2), (416, 32)),
        (1, 5000, (2, 416), (32, 416)),
    ],
)
def test_shapes_of_the_field(
    width: int, height: int, scaled: tuple[int, int], network: tuple[int, int]
) -> None:
    source = SourceShape(width, height)
    assert SQUARE.scaled_size(source) == GRID.scaled_size(source) == scaled
    assert SQUARE.network_size(source) == (416, 416)
    assert GRID.network_size(source) == network


def test_anamorphic_sources_are_shown_as_they_should_be_seen() -> None:
    assert GRID.scaled_size(SourceShape(720, 576, (64, 45))) == (416, 234)  # PAL in 16:9
    assert GRID.scaled_size(SourceShape(1440, 1080, (4, 3))) == (416, 234)  # HDV


@given(SHAPES, st.integers(1, 64), st.integers(1, 64), st.sampled_from([0, 2, 32]))
def test_a_letterboxed_frame_fits_is_even_and_keeps_its_proportions(
    source: SourceShape, across: int, up: int, grid: int
) -> None:
    fit = InputFit(32 * across, 32 * up, letterbox=True, grid=grid)
    width, height = fit.scaled_size(source)
    assert width % 2 == height % 2 == 0
    assert 2 <= width <= fit.width
    assert 2 <= height <= fit.height
    assert width == fit.width or height == fit.height
    seen = Fraction(*source.proportions)
    if width == fit.width:
        assert abs(height - fit.width / seen) <= 1 or height == 2
    else:
        assert abs(width - fit.height * seen) <= 1 or width == 2
    outer = fit.network_size(source)
    if grid:
        assert outer[0] % grid == outer[1] % grid == 0
        assert width <= outer[0] < width + grid
        assert height <= outer[1] < height + grid
    else:
        assert outer == (fit.width, fit.height)


@given(SIDES, SIDES)
def test_plain_fits_everything_alike(width: int, height: int) -> None:
    fit = InputFit(300, 200)
    assert fit.scaled_size(SourceShape(width, height)) == (300, 200)
    assert fit.network_size(SourceShape(width, height)) == (300, 200)


@given(SIDES, SIDES, st.integers(-5, 1 << 20), st.integers(-5, 1 << 20))
def test_a_header_that_says_impossible_pixels_is_not_believed(
    width: int, height: int, across: int, up: int
) -> None:
    source = SourceShape(width, height, (across, up))
    believed = across > 0 < up and max(across, up) <= MAX_PIXEL_ASPECT * min(across, up)
    wanted = (width * across, height * up) if believed else (width, height)
    assert source.proportions == wanted
