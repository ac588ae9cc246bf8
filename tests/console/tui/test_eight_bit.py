"""Colours where the terminal has 256: the nearest of them, and no navy header."""

import io

from hypothesis import given
from hypothesis import strategies as st
from rich.color import Color, ColorType
from rich.console import Console
from textual.geometry import Region

from console.tui.app import ConsoleApp
from console.tui.drawing.eight_bit import nearest

channel = st.integers(0, 255)


def distance(number: int, colour: tuple[int, int, int]) -> int:
    shown = Color.from_ansi(number).get_truecolor()
    return sum((a - b) ** 2 for a, b in zip(shown, colour, strict=True))


@given(channel, channel, channel)
def test_no_other_colour_of_the_palette_is_nearer(red: int, green: int, blue: int) -> None:
    colour = (red, green, blue)
    assert distance(nearest(*colour), colour) == min(
        distance(number, colour) for number in range(16, 256)
    )


async def test_the_header_is_grey_in_a_terminal_of_256_colours(console: ConsoleApp) -> None:
    console.console = Console(file=io.StringIO(), color_system="256", force_terminal=True)
    async with console.run_test(size=(120, 36)) as pilot:
        await pilot.pause()
        bar = console.query_one("#topbar")
        (strip,) = bar.render_lines(Region(0, 0, bar.size.width, 1))
        backs = {segment.style.bgcolor for segment in strip if segment.style is not None}
        assert backs
        for back in backs:
            assert back is not None
            assert back.type is ColorType.EIGHT_BIT
            assert back.number is not None
            assert back.number >= 232
