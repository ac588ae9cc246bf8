"""A frame with its boxes, as pixels and as half blocks of a terminal. No I/O.

Half blocks show two pixels in a cell: the upper one is the colour of `▀`, the lower one its
background. Boxes are drawn after scaling, so that they stay one pixel thin.
"""

import io
from collections.abc import Sequence
from typing import NamedTuple

from PIL import Image, ImageDraw, UnidentifiedImageError
from rich.color import Color
from rich.color_triplet import ColorTriplet
from rich.segment import Segment
from rich.style import Style
from textual.strip import Strip

from streamproc.contract.chunk import Target


class Shown(NamedTuple):
    """A frame and what was found in it; `width_px`, `height_px` of the source, as boxes are."""

    frame: int
    image: Image.Image
    width_px: int
    height_px: int
    targets: tuple[Target, ...]


class Label(NamedTuple):
    """A box's name at a cell, in its colour."""

    x: int
    y: int
    text: str
    colour: str


def read_jpeg(data: bytes) -> Image.Image:
    """Return the picture as RGB; raises ValueError on anything else."""
    try:
        with Image.open(io.BytesIO(data)) as image:
            return image.convert("RGB")
    except (UnidentifiedImageError, OSError) as exc:
        raise ValueError("the preview is no picture") from exc


def fitting(width_px: int, height_px: int, cells: int, rows: int) -> tuple[int, int]:
    """Return (cells, rows) that hold the picture with its aspect; a cell is twice as high."""
    ratio = min(cells / max(1, width_px), 2 * rows / max(1, height_px))
    return max(1, int(width_px * ratio)), max(1, int(height_px * ratio / 2))


def half_blocks(
    shown: Shown, cells: int, rows: int, colours: Sequence[str], base: Style, chosen: int | None
) -> list[Strip]:
    """Return the picture in the middle of `cells` by `rows`, boxes and ids drawn.

    `chosen` is the track whose box alone is bright, None: all are.
    """
    width, height = fitting(shown.width_px, shown.height_px, cells, rows)
    image = shown.image.resize((width, 2 * height), Image.Resampling.BILINEAR)
    scale_x, scale_y = width / shown.width_px, 2 * height / shown.height_px
    labels = _draw_boxes(image, shown.targets, scale_x, scale_y, colours, chosen)
    data = image.tobytes()
    left, above = (cells - width) // 2, (rows - height) // 2
    blank = Strip.blank(cells, base)
    strips = [blank] * above
    for y in range(height):
        row = [_cell(data, width, x, y) for x in range(width)]
        for label in labels:
            if label.y == y:
                _write(row, label)
        strips.append(
            Strip(
                [
                    Segment(" " * left, base),
                    *row,
                    Segment(" " * (cells - width - left), base),
                ],
                cells,
            )
        )
    return strips + [blank] * (rows - len(strips))


def with_boxes(shown: Shown, colours: Sequence[str], chosen: int | None) -> Image.Image:
    """Return the picture itself with boxes and ids, for a terminal that shows pixels."""
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
            draw.text((box[0] + 2, box[1] - 12), text, fill="black")
    return image


def crop(shown: Shown, target: Target, margin: float = 0.15) -> Shown:
    """Return the part of the frame around the target, with the target alone, no box."""
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
    image: Image.Image,
    targets: Sequence[Target],
    scale_x: float,
    scale_y: float,
    colours: Sequence[str],
    chosen: int | None,
) -> list[Label]:
    draw = ImageDraw.Draw(image)
    labels: list[Label] = []
    for target in sorted(targets, key=lambda t: t.track_id == chosen):
        colour = _colour(target, colours, chosen)
        box = _box(target, scale_x, scale_y, image)
        draw.rectangle(box, outline=colour)
        if target.track_id:
            labels.append(
                Label(int(box[0]), max(0, int(box[1]) // 2), f"{target.track_id}", colour)
            )
    return labels


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


def _cell(data: bytes, width: int, x: int, y: int) -> Segment:
    upper = 3 * (2 * y * width + x)
    lower = upper + 3 * width
    return Segment("▀", Style(color=_rgb(data, upper), bgcolor=_rgb(data, lower)))


def _rgb(data: bytes, at: int) -> Color:
    return Color.from_triplet(ColorTriplet(data[at], data[at + 1], data[at + 2]))


def _write(row: list[Segment], label: Label) -> None:
    style = Style(color="#101418", bgcolor=label.colour, bold=True)
    for i, letter in enumerate(label.text):
        if label.x + i < len(row):
            row[label.x + i] = Segment(letter, style)
