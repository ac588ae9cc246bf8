"""Rendering of a frame with its boxes, as pixels or as block characters of a terminal. No I/O.

A cell shows four pixels in two colours with half and quarter blocks (`▀ ▌ ▚ ▟` …): one colour for
the pixels that are brighter than the cell's mean, one for the others. Boxes are drawn after
scaling, so that their lines are one pixel wide, and have priority over the image in their cells.
"""

import io
from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageColor, ImageDraw, UnidentifiedImageError
from rich.color import Color
from rich.color_triplet import ColorTriplet
from rich.segment import Segment
from rich.style import Style
from textual.strip import Strip

from streamproc.contract.chunk import Target

_BLOCKS: Final = " ▘▝▀▖▌▞▛▗▚▐▜▄▙▟█"
_BITS: Final = np.array([1, 2, 4, 8])
_BRIGHT: Final = 120
_LUMINANCE: Final = np.array([299, 587, 114], np.int32)
"""Integers, in thousandths: sums of floats differ in their last bits from run to run."""


class Shown(NamedTuple):
    """A frame image and its targets. `width_px`, `height_px`: source size, the unit of boxes.

    `captured`: of a live source, when the frame was captured.
    """

    frame: int
    image: Image.Image
    width_px: int
    height_px: int
    targets: tuple[Target, ...]
    captured: datetime | None = None


class Label(NamedTuple):
    """The label of a box, at a cell, in the colour of its track."""

    x: int
    y: int
    text: str
    colour: str


def read_jpeg(data: bytes) -> Image.Image:
    """Decode an image as RGB; raises ValueError if the data is no image."""
    try:
        with Image.open(io.BytesIO(data)) as image:
            return image.convert("RGB")
    except (UnidentifiedImageError, OSError) as exc:
        raise ValueError("the preview is not a valid image") from exc


def fitting(width_px: int, height_px: int, cells: int, rows: int) -> tuple[int, int]:
    """Return the largest (cells, rows) with the image's aspect ratio; a cell is 1 wide, 2 high."""
    ratio = min(cells / max(1, width_px), 2 * rows / max(1, height_px))
    return max(1, int(width_px * ratio)), max(1, int(height_px * ratio / 2))


def blocks(
    shown: Shown, cells: int, rows: int, colours: Sequence[str], base: Style, chosen: int | None
) -> list[Strip]:
    """Render the image with boxes and ids as block characters, centred in `cells` by `rows`.

    `chosen`: only this track's box is coloured, the others are grey. None: all are coloured.
    """
    width, height = fitting(shown.width_px, shown.height_px, cells, rows)
    image = shown.image.resize((2 * width, 2 * height), Image.Resampling.BOX)
    scale_x, scale_y = 2 * width / shown.width_px, 2 * height / shown.height_px
    lines, labels = _draw_boxes(image.size, shown.targets, scale_x, scale_y, colours, chosen)
    marks, fronts, backs = _two_colours(np.asarray(image, np.int32), lines)
    left, above = (cells - width) // 2, (rows - height) // 2
    blank = Strip.blank(cells, base)
    strips = [blank] * above
    for y in range(height):
        row = [
            Segment(_BLOCKS[mark], Style(color=_rgb(front), bgcolor=_rgb(back)))
            for mark, front, back in zip(marks[y], fronts[y], backs[y], strict=True)
        ]
        for label in labels:
            if label.y == y:
                _write(row, label)
        pads = Segment(" " * left, base), Segment(" " * (cells - width - left), base)
        strips.append(Strip([pads[0], *row, pads[1]], cells))
    return strips + [blank] * (rows - len(strips))


def source_point(
    size_px: tuple[int, int], cells: tuple[int, int], at: tuple[int, int]
) -> tuple[float, float] | None:
    """Return the source pixel in the middle of the cell `at` of an image that fits `cells`.

    None for a cell beside the image.
    """
    width, height = fitting(*size_px, *cells)
    x, y = at[0] - (cells[0] - width) // 2, at[1] - (cells[1] - height) // 2
    if not (0 <= x < width and 0 <= y < height):
        return None
    return (x + 0.5) * size_px[0] / width, (y + 0.5) * size_px[1] / height


def target_at(
    targets: Sequence[Target], x_px: float, y_px: float, slack_px: float
) -> Target | None:
    """Return the tracked target whose box has the point: the smallest; None if none has it.

    `slack_px`: how far outside of its box a target is met, since a cell has many pixels.
    """
    met = [
        target
        for target in targets
        if target.track_id > 0
        and target.roi.left - slack_px <= x_px < target.roi.left + target.roi.width + slack_px
        and target.roi.top - slack_px <= y_px < target.roi.top + target.roi.height + slack_px
    ]
    return min(met, key=lambda target: target.roi.width * target.roi.height, default=None)


def with_boxes(shown: Shown, colours: Sequence[str], chosen: int | None) -> Image.Image:
    """Return a copy of the image with boxes and ids, for a terminal that shows pixels."""
    image = shown.image.copy()
    scale_x, scale_y = image.width / shown.width_px, image.height / shown.height_px
    draw = ImageDraw.Draw(image)
    for target in shown.targets:
        colour = _colour(target, colours, chosen)
        box = _box(target, scale_x, scale_y, image)
        draw.rectangle(box, outline=colour, width=2)
        if target.track_id:
            text = f"#{target.track_id}"
            width = draw.textlength(text)
            draw.rectangle((box[0], box[1] - 12, box[0] + width + 4, box[1]), fill=colour)
            draw.text((box[0] + 2, box[1] - 12), text, fill=_on(colour))
    return image


def crop(shown: Shown, target: Target, margin: float = 0.15) -> Shown:
    """Crop the frame to the target, with a margin relative to its size; without boxes."""
    roi = target.roi
    pad_x, pad_y = int(roi.width * margin), int(roi.height * margin)
    scale_x, scale_y = shown.image.width / shown.width_px, shown.image.height / shown.height_px
    left, top = max(0, roi.left - pad_x), max(0, roi.top - pad_y)
    right = min(shown.width_px, roi.left + roi.width + pad_x)
    bottom = min(shown.height_px, roi.top + roi.height + pad_y)
    image = shown.image.crop(
        (
            int(left * scale_x),
            int(top * scale_y),
            max(int(left * scale_x) + 1, int(right * scale_x)),
            max(int(top * scale_y) + 1, int(bottom * scale_y)),
        )
    )
    return Shown(shown.frame, image, max(1, right - left), max(1, bottom - top), ())


def _draw_boxes(
    size: tuple[int, int],
    targets: Sequence[Target],
    scale_x: float,
    scale_y: float,
    colours: Sequence[str],
    chosen: int | None,
) -> tuple[NDArray[np.uint8], list[Label]]:
    """Return (height, width, 4) pixels, opaque only at lines of boxes, and the boxes' labels."""
    layer = Image.new("RGBA", size)
    draw = ImageDraw.Draw(layer)
    labels: list[Label] = []
    for target in sorted(targets, key=lambda t: t.track_id == chosen):
        colour = _colour(target, colours, chosen)
        box = _box(target, scale_x, scale_y, layer)
        draw.rectangle(box, outline=ImageColor.getrgb(colour))
        if target.track_id:
            labels.append(Label(box[0] // 2, box[1] // 2, str(target.track_id), colour))
    return np.asarray(layer), labels


def _two_colours(
    pixels: NDArray[np.int32], lines: NDArray[np.uint8]
) -> tuple[list[list[int]], list[list[list[int]]], list[list[list[int]]]]:
    """Return each cell's block (index of `_BLOCKS`), foreground and background colour."""
    quads, over = _by_cell(pixels), _by_cell(lines)
    bright = quads @ _LUMINANCE
    is_line = over[..., 3] > 0
    has_line = is_line.any(axis=2, keepdims=True)
    is_front = np.where(has_line, is_line, 4 * bright > bright.sum(axis=2, keepdims=True))
    coloured = np.where(is_line[..., None], over[..., :3], quads)
    n_front = is_front.sum(axis=2)[..., None]
    whole = coloured.sum(axis=2) // 4
    front = (coloured * is_front[..., None]).sum(axis=2) // np.maximum(n_front, 1)
    back = (coloured * ~is_front[..., None]).sum(axis=2) // np.maximum(4 - n_front, 1)
    front = np.where(n_front == 0, whole, front)
    back = np.where(n_front == 4, whole, back)
    marks = (is_front * _BITS).sum(axis=2)
    return marks.tolist(), front.tolist(), back.tolist()


def _by_cell(pixels: NDArray[Any]) -> NDArray[Any]:
    """Reshape to (rows, cells, 4, channels): upper left, upper right, lower left, lower right."""
    height, width, channels = pixels.shape
    split = pixels.reshape(height // 2, 2, width // 2, 2, channels)
    return split.transpose(0, 2, 1, 3, 4).reshape(height // 2, width // 2, 4, channels)


def _box(
    target: Target, scale_x: float, scale_y: float, image: Image.Image
) -> tuple[int, int, int, int]:
    roi = target.roi
    left, top = int(roi.left * scale_x), int(roi.top * scale_y)
    return (
        left,
        top,
        max(left, min(image.width - 1, int((roi.left + roi.width) * scale_x) - 1)),
        max(top, min(image.height - 1, int((roi.top + roi.height) * scale_y) - 1)),
    )


def _colour(target: Target, colours: Sequence[str], chosen: int | None) -> str:
    if target.track_id == 0 or (chosen is not None and target.track_id != chosen):
        return "#8a8f98"
    return colours[target.track_id % len(colours)]


def _rgb(colour: Sequence[int]) -> Color:
    return Color.from_triplet(ColorTriplet(*colour))


def _write(row: list[Segment], label: Label) -> None:
    style = Style(color=_on(label.colour), bgcolor=label.colour, bold=True)
    for i, letter in enumerate(label.text):
        if label.x + i < len(row):
            row[label.x + i] = Segment(letter, style)


def _on(colour: str) -> str:
    """Return the text colour with the better contrast on `colour`: dark or white."""
    bright = int(np.dot(ImageColor.getrgb(colour)[:3], _LUMINANCE))
    return "#101418" if bright > 1000 * _BRIGHT else "#ffffff"
