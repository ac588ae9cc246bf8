"""Detection of the terminal's graphics protocol (kitty, sixel), before Textual reads the keyboard.

Every terminal answers the last query (primary device attributes), so its answer marks the end of
all answers, also over a slow connection. Without this, late answers would be read as keys.
"""

import os
import re
import select
import struct
import sys
import termios
import time
import tty
from fcntl import ioctl
from typing import Any, Literal, NamedTuple

WAIT_S = 3.0
"""Time limit for the answers; a terminal that answers nothing delays the start by it."""
_SIXEL = "4"
_KITTY_IMAGE = 31
_QUESTIONS = f"\x1b_Gi={_KITTY_IMAGE},s=1,v=1,a=q,t=d,f=24;AAAA\x1b\\\x1b[16t\x1b[c"
_ATTRIBUTES = re.compile(r"\x1b\[\?([\d;]*)c")
_CELL = re.compile(r"\x1b\[6;(\d+);(\d+)t")
_KITTY_OK = re.compile(rf"\x1b_Gi={_KITTY_IMAGE}[^\x1b]*;OK\x1b\\")
_DEFAULT_CELL = (10, 20)  # as on a VT340
_MAX_ANSWER_BYTES = 4096

Protocol = Literal["kitty", "sixel"]


class Terminal(NamedTuple):
    """Graphics protocol of a terminal, and its cell size (width, height) in pixels if known."""

    protocol: Protocol | None
    cell: tuple[int, int] | None


def understand(answers: str) -> Terminal | None:
    """Parse the answers; None while the last one is missing.

    Sixel is preferred: terminals that report both protocols support kitty's placeholders less well.
    """
    attributes = _ATTRIBUTES.search(answers)
    if attributes is None:
        return None
    cell = _CELL.search(answers)
    size = (int(cell[2]), int(cell[1])) if cell else None
    if _SIXEL in attributes[1].split(";"):
        return Terminal("sixel", size)
    return Terminal("kitty" if _KITTY_OK.search(answers) else None, size)


def ask_terminal(wait_s: float = WAIT_S) -> Terminal:
    """Query the terminal at standard input and output. Keys typed in the meantime are lost."""
    stdin, stdout = sys.__stdin__, sys.__stdout__
    if stdin is None or stdout is None or not (stdin.isatty() and stdout.isatty()):
        return Terminal(None, None)
    fd = stdin.fileno()
    before = termios.tcgetattr(fd)
    tty.setcbreak(fd, termios.TCSANOW)
    try:
        stdout.write(_QUESTIONS)
        stdout.flush()
        found = _read(fd, time.monotonic() + wait_s)
    finally:
        termios.tcsetattr(fd, termios.TCSANOW, before)
    return found._replace(cell=_cell_of_window(stdout.fileno()) or found.cell)


def pixel_widget(terminal: Terminal) -> type[Any] | None:
    """Return textual-image's widget for the terminal; None if it cannot show pixels.

    On import, the library would query the terminal itself and wait 0.1 s for each answer.
    """
    if terminal.protocol is None:
        return None
    from textual_image import _terminal  # noqa: PLC0415 - below

    width, height = terminal.cell or _DEFAULT_CELL
    # Fill the library's cache of the answer.
    setattr(_terminal.get_cell_size, "_result", _terminal.CellSize(width, height))  # noqa: B010
    stdout, sys.__stdout__ = sys.__stdout__, None  # type: ignore[misc]
    try:
        from textual_image import renderable  # noqa: F401, PLC0415 - queries nothing now
    finally:
        sys.__stdout__ = stdout  # type: ignore[misc]
    from textual_image.widget import SixelImage, TGPImage  # noqa: PLC0415

    return SixelImage if terminal.protocol == "sixel" else TGPImage


def _read(fd: int, deadline_s: float) -> Terminal:
    answers = ""
    while (left_s := deadline_s - time.monotonic()) > 0 and len(answers) < _MAX_ANSWER_BYTES:
        if not select.select([fd], [], [], left_s)[0]:
            break
        data = os.read(fd, _MAX_ANSWER_BYTES)
        answers += data.decode("latin-1")
        found = understand(answers)
        if found is not None or not data:
            return found or Terminal(None, None)
    return Terminal(None, None)


def _cell_of_window(fd: int) -> tuple[int, int] | None:
    try:
        size = ioctl(fd, termios.TIOCGWINSZ, bytes(8))
    except OSError:
        return None
    rows, columns, width, height = struct.unpack("HHHH", size)
    cell = (width // columns, height // rows) if rows and columns else (0, 0)
    return cell if all(cell) else None
