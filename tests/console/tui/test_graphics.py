"""The preview in terminals that show pixels: what arrives there is the frame with its boxes."""

from pathlib import Path
from typing import Literal

import numpy as np
import pytest
from PIL import Image

from console.tui.drawing.frame_image import Shown, read_jpeg, with_boxes
from console.tui.drawing.styled_text import track_colours
from console.tui.terminal_graphics import Terminal, understand
from console.tui.view_models.live_stream import LiveFold
from streamproc.contract.framing import parse_events
from tests.console.tui.graphics_terminal import CELL_PX, GraphicsTerminal
from tests.console.tui.recorded_api import KEY, Script
from tests.console.tui.tmux import Tmux
from tests.plugins.missing import needs_program


def expected(script: Script) -> Image.Image:
    fold = LiveFold()
    fold.apply(parse_events(script.log), 0.0)
    targets = fold.snapshot(0.0).targets
    shown = Shown(118, read_jpeg(script.frame), 768, 576, targets)
    return with_boxes(shown, track_colours(dark=True), None)


@pytest.mark.usefixtures("processes")
@pytest.mark.parametrize(
    ("protocol", "answer_after_s"), [("kitty", 0.0), ("sixel", 0.0), ("kitty", 0.4), ("sixel", 0.8)]
)
def test_the_picture_that_arrives_is_the_frame_with_its_boxes(
    protocol: Literal["kitty", "sixel"],
    answer_after_s: float,
    url: str,
    script: Script,
    tmp_path: Path,
) -> None:
    """Also over a slow line: an answer that came too late was read as keys, `c` among them."""
    environ = {"FRAMEWIRE_URL": url, "FRAMEWIRE_KEY": KEY, "FRAMEWIRE_DATA": str(tmp_path)}
    terminal = GraphicsTerminal(protocol, environ, answer_after_s=answer_after_s)
    try:
        terminal.until("vtest.avi")
        terminal.type("\r")
        picture = terminal.until_picture()
    finally:
        terminal.end()
    assert picture.width > 25 * CELL_PX[0]
    wanted = expected(script).resize(picture.size)
    difference = np.abs(np.asarray(picture, np.int16) - np.asarray(wanted, np.int16)).mean()
    assert difference < 12  # sixel has 256 colours


@pytest.mark.parametrize(
    ("answers", "expected"),
    [
        ("", None),
        ("\x1b_Gi=31;OK\x1b\\", None),
        ("\x1b[?62;4", None),
        ("\x1b[?1;2c", Terminal(None, None)),
        ("\x1b[?62;4;22c", Terminal("sixel", None)),
        ("\x1b[?62;14;44c", Terminal(None, None)),
        ("\x1b_Gi=31;OK\x1b\\\x1b[6;34;17t\x1b[?62;22c", Terminal("kitty", (17, 34))),
        ("\x1b_Gi=31;OK\x1b\\\x1b[?62;4c", Terminal("sixel", None)),
        ("\x1b_Gi=31;EINVAL:no\x1b\\\x1b[?62c", Terminal(None, None)),
        ("q\x1b_Gi=31;OK\x1b\\j\x1b[?62ck", Terminal("kitty", None)),
    ],
)
def test_what_a_terminal_answers_is_understood(answers: str, expected: Terminal | None) -> None:
    assert understand(answers) == expected


@pytest.mark.usefixtures("processes")
@needs_program("tmux", promise="pictures as blocks in a real terminal")
def test_a_terminal_without_pixels_gets_blocks(url: str, tmp_path: Path) -> None:
    terminal = Tmux(
        {"FRAMEWIRE_URL": url, "FRAMEWIRE_KEY": KEY, "FRAMEWIRE_DATA": str(tmp_path)}, options=""
    )
    try:
        terminal.until("vtest.avi")
        terminal.type("Enter")
        terminal.until("▀")
        terminal.until("■ END")
        assert "SIXEL" not in terminal.screen()
    finally:
        terminal.end()
