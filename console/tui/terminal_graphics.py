"""Which graphics protocol the terminal speaks, asked once, before Textual reads the keyboard.

Every terminal answers the last of the questions (primary device attributes), so the answers are
complete when that one is there, however far the terminal is: over a slow line an answer that nobody
waited for would be read as keys.
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
"""A terminal that answers nothing at all delays the start by so much."""
_SIXEL = "4"
_KITTY_IMAGE = 31
_QUESTIONS = f"\x1b_Gi={_KITTY_IMAGE},s=1,v=1,a=q,t=d,f=24;AAAA\x1b\\\x1b[16t\x1b[c"
_ATTRIBUTES = re.compile(r"\x1b\[\?([\d;]*)c")
_CELL = re.compile(r"\x1b\[6;(\d+);(\d+)t")
_KITTY_OK = re.compile(rf"\x1b_Gi={_KITTY_IMAGE}[^\x1b]*;OK\x1b\\")
_DEFAULT_CELL = (10, 20)  # a VT340's
_MAX_ANSWER_BYTES = 4096

Protocol = Literal["kitty", "sixel"]


class Terminal(NamedTuple):
    """What a terminal shows: its protocol, and the pixels of a cell (width, height) if known."""

    protocol: Protocol | None
    cell: tuple[int, int] | None


def understand(answers: str) -> Terminal | None:
    """Return what the answers say, None as long as the last one is missing.

    Terminals that claim both protocols know placeholders of kitty's less well than sixels.
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
    """Ask the terminal at standard input and output; what is typed meanwhile is lost."""
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
    """Return textual-image's widget for the terminal, None when it shows no pixels.

    The library would ask the terminal while it is imported, and wait .1 s for each answer.
    """
    if terminal.protocol is None:
        return None
    from textual_image import _terminal  # noqa: PLC0415 - below

    width, height = terminal.cell or _DEFAULT_CELL
    # What the library keeps once it has asked.
    setattr(_terminal.get_cell_size, "_result", _terminal.CellSize(width, height))  # noqa: B010
    stdout, sys.__stdout__ = sys.__stdout__, None  # type: ignore[misc]
    try:
        from textual_image import renderable  # noqa: F401, PLC0415 - asks nobody now
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
