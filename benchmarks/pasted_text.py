"""192 made lines of text in 24 pictures: the set by which whole-frame reading is judged.

Plates, signs and numbers in Pillow's own font, on rectangles of any colour that are pasted into
frames of the bundled clip: blurred, noisy, 12 to 30 pixels high. The same in every run.
"""

import string
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
from PIL import Image as Pillow
from PIL import ImageDraw, ImageFont

from models.types import Image

N_PICTURES = 24
N_LINES = 8
SIZE = (960, 720)
WORDS = (
    *("PARKING", "NOTICE", "EXIT", "Deliveries", "No entry", "Platform", "KEEP CLEAR", "Cafe"),
    *("Main Street", "OPEN", "STOP", "Gate", "Reception", "Loading bay", "Fire door", "Sale"),
)
_FONT_PX = 64


@dataclass(frozen=True, slots=True)
class Pasted:
    """One line of text and where it is: ltrb in pixels of the picture."""

    text: str
    box: tuple[int, int, int, int]


def pictures(clip: Path, seed: int = 7) -> list[tuple[Image, list[Pasted]]]:
    """Return the pictures with their lines."""
    rng = np.random.default_rng(seed)
    made = []
    for frame in _frames(clip):
        picture = np.asarray(cv2.resize(frame, SIZE), np.uint8)
        lines = [_paste(picture, rng, place) for place in range(N_LINES)]
        made.append((picture, lines))
    return made


def _frames(clip: Path) -> list[Image]:
    with av.open(str(clip)) as container:
        frames: list[Any] = [f.to_ndarray(format="bgr24") for f in container.decode(video=0)]
    step = max(1, len(frames) // N_PICTURES)
    return [np.asarray(frame, np.uint8) for frame in frames[::step][:N_PICTURES]]


def _paste(picture: Image, rng: np.random.Generator, place: int) -> Pasted:
    """Paste a line into one of the cells of a grid of 2 x 4, so that no two overlap."""
    text = _text(rng)
    line = _line(text, rng)
    height, width = line.shape[:2]
    cell_w, cell_h = SIZE[0] // 2, SIZE[1] // 4
    left = (place % 2) * cell_w + int(rng.integers(5, cell_w - width - 5))
    top = (place // 2) * cell_h + int(rng.integers(5, cell_h - height - 5))
    picture[top : top + height, left : left + width] = line
    return Pasted(text, (left, top, left + width, top + height))


def _text(rng: np.random.Generator) -> str:
    kind = int(rng.integers(3))
    if kind == 0:
        letters, digits = list(string.ascii_uppercase), list(string.digits)
        parts = ["".join(rng.choice(letters, 2)), "".join(rng.choice(digits, 2))]
        return f"{''.join(parts)} {''.join(rng.choice(letters, 3))}"
    if kind == 1:
        return str(int(rng.integers(100, 100_000)))
    return str(rng.choice(WORDS))


def _line(text: str, rng: np.random.Generator) -> Image:
    font = ImageFont.load_default(_FONT_PX)
    left, top, right, bottom = font.getbbox(text)
    ground = rng.integers(0, 256, 3)
    is_light = ground.mean() > 128
    ink = rng.integers(0, 60, 3) if is_light else rng.integers(200, 256, 3)
    size = (int(right - left) + 44, int(bottom - top) + 36)
    sheet = Pillow.new("RGB", size, tuple(int(value) for value in ground))
    ImageDraw.Draw(sheet).text(
        (22 - left, 18 - top), text, font=font, fill=tuple(int(value) for value in ink)
    )
    image = np.asarray(sheet, np.uint8)
    height = float(rng.uniform(12, 30)) * 1.6
    scale = min(height / image.shape[0], 440 / image.shape[1])
    image = np.asarray(
        cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA), np.uint8
    )
    if rng.random() < 0.6:
        image = np.asarray(cv2.GaussianBlur(image, (0, 0), float(rng.uniform(0.3, 0.9))), np.uint8)
    noisy = image + rng.normal(0, rng.uniform(0, 12), image.shape)
    return np.asarray(np.clip(noisy, 0, 255), np.uint8)
