"""A terminal that shows pixels: answers the console's questions, decodes what it draws."""

import base64
import fcntl
import io
import os
import pty
import re
import select
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

from PIL import Image

ROOT = Path(__file__).resolve().parents[3]
CELL_PX = (8, 16)
_QUESTION = re.compile(rb"\x1b_Gi=(?P<kitty>\d+)[^;]*a=q[^\x1b]*\x1b\\|\x1b\[c")
_KITTY = re.compile(rb"\x1b_G([^;\x1b]*)(?:;([^\x1b]*))?\x1b\\")
_SIXEL = re.compile(rb"\x1bP[\d;]*q(.*?)\x1b\\", re.DOTALL)
_SIXEL_PART = re.compile(
    rb'"(?P<size>[\d;]+)|#(?P<colour>[\d;]+)|!(?P<n>\d+)(?P<many>[?-~])|(?P<one>[?-~])|(?P<move>[$-])'
)


class GraphicsTerminal:
    """The console in a pseudo terminal of 120 by 36 cells that speaks one graphics protocol."""

    def __init__(
        self,
        protocol: Literal["kitty", "sixel"],
        environ: Mapping[str, str],
        *,
        answer_after_s: float = 0.0,
    ) -> None:
        """`answer_after_s`: how far away the terminal is."""
        self._protocol, self._answer_after_s = protocol, answer_after_s
        self._fd, child = pty.openpty()
        size = struct.pack("HHHH", 36, 120, 120 * CELL_PX[0], 36 * CELL_PX[1])
        fcntl.ioctl(child, termios.TIOCSWINSZ, size)
        self._process = subprocess.Popen(
            [sys.executable, "-m", "console", "console"],
            cwd=ROOT,
            stdin=child,
            stdout=child,
            stderr=child,
            env={**os.environ, "TERM": "xterm-256color", "COLORTERM": "truecolor", **environ},
            start_new_session=True,
        )
        os.close(child)
        self.written = b""
        self._answered = 0

    def type(self, text: str) -> None:
        os.write(self._fd, text.encode())

    def until(self, text: str, within_s: float = 60.0) -> None:
        start, deadline_s = len(self.written), time.monotonic() + within_s
        while text.encode() not in self.written[start:]:
            assert time.monotonic() < deadline_s, f"{text!r} never came"
            self._read()

    def until_picture(self, within_s: float = 60.0) -> Image.Image:
        """Return the last whole picture that was drawn, in the terminal's pixels."""
        deadline_s = time.monotonic() + within_s
        while True:
            found = self._kitty() if self._protocol == "kitty" else self._sixel()
            if found is not None:
                return found
            assert time.monotonic() < deadline_s, "no picture came"
            self._read()

    def end(self) -> None:
        self._process.terminate()
        try:
            self._process.wait(20)
        finally:
            os.close(self._fd)

    def _read(self) -> None:
        if select.select([self._fd], [], [], 0.1)[0]:
            self.written += os.read(self._fd, 65536)
        while asked := _QUESTION.search(self.written, self._answered):
            self._answered = asked.end()
            time.sleep(self._answer_after_s)
            os.write(self._fd, self._answer(asked))

    def _answer(self, asked: "re.Match[bytes]") -> bytes:
        if asked["kitty"]:
            return b"\x1b_Gi=%s;OK\x1b\\" % asked["kitty"] if self._protocol == "kitty" else b""
        return b"\x1b[?62;4c" if self._protocol == "sixel" else b"\x1b[?62c"

    def _kitty(self) -> Image.Image | None:
        sent: dict[bytes, bytes] = {}
        placed: bytes | None = None
        for keys, payload in _KITTY.findall(self.written):
            known = dict(key.split(b"=") for key in keys.split(b",") if key)
            if known.get(b"f") == b"100":
                sent[known[b"i"]] = sent.get(known[b"i"], b"") + payload
            elif known.get(b"a") == b"p":
                placed = known[b"i"]
        if placed is None or "\U0010eeee".encode() not in self.written:
            return None
        return Image.open(io.BytesIO(base64.b64decode(sent[placed]))).convert("RGB")

    def _sixel(self) -> Image.Image | None:
        found = _SIXEL.findall(self.written)
        return decode_sixel(found[-1]) if found else None


def decode_sixel(data: bytes) -> Image.Image:
    """Return the picture of a sixel string's body: raster size, colours in percent, runs."""
    image, x, y = Image.new("RGB", (1, 1)), 0, 0
    pen: tuple[int, ...] = (0, 0, 0)
    colours: dict[int, tuple[int, ...]] = {}
    for part in _SIXEL_PART.finditer(data):
        if part["size"]:
            width, height = map(int, part["size"].split(b";")[2:4])
            image = Image.new("RGB", (width, height))
        elif part["colour"]:
            number, *rgb = map(int, part["colour"].split(b";"))
            if rgb:
                colours[number] = tuple(round(255 * percent / 100) for percent in rgb[1:])
            pen = colours[number]
        elif part["move"]:
            x, y = 0, y + (6 if part["move"] == b"-" else 0)
        else:
            bits = (part["many"] or part["one"])[0] - 0x3F
            run = int(part["n"] or 1)
            for bit in range(6):
                if bits >> bit & 1:
                    image.paste(pen, (x, y + bit, x + run, y + bit + 1))
            x += run
    return image
