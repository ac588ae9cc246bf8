"""JPEG encoding of an image with the outlines and labels of its targets."""

import mmap
from typing import Final

import cv2
import numpy as np

from streamproc.contract.preview import Box
from streamproc.source.sandbox import ipc
from streamproc.source.types import Image

_QUALITY: Final = 85
_PALETTE_BGR: Final = (
    *((240, 201, 76), (79, 199, 249), (123, 224, 144), (171, 143, 255)),
    *((255, 164, 185), (87, 159, 255), (212, 234, 94), (249, 121, 232)),
)
_FONT: Final = cv2.FONT_HERSHEY_SIMPLEX


def draw_in_place(memory: mmap.mmap, order: ipc.Draw) -> int:
    """Execute a `Draw` order in the frame pool; returns the JPEG's length in bytes."""
    n_bytes = order.width * order.height * 3
    image = np.frombuffer(memory, np.uint8, n_bytes).reshape(order.height, order.width, 3)
    boxes = ipc.decode_boxes(memory[n_bytes : n_bytes + order.boxes_bytes])
    encoded = jpeg(image, boxes, order.width_px)
    memory[n_bytes : n_bytes + len(encoded)] = encoded
    return len(encoded)


def jpeg(image: Image, boxes: tuple[Box, ...], width_px: int | None) -> bytes:
    """Return the image as JPEG, at most `width_px` wide, with the boxes' outlines and labels.

    `image` is (height, width, 3) uint8 BGR and is not changed; boxes are in its pixels. Raises
    ValueError when encoding fails.
    """
    scale = min(1.0, width_px / image.shape[1]) if width_px else 1.0
    size = (max(1, round(image.shape[1] * scale)), max(1, round(image.shape[0] * scale)))
    drawn = cv2.resize(image, size, interpolation=cv2.INTER_AREA) if scale < 1 else image.copy()
    for box in boxes:
        colour = _PALETTE_BGR[box.track_id % len(_PALETTE_BGR)]
        left, top = round(box.left * scale), round(box.top * scale)
        right, bottom = round((box.left + box.width) * scale), round((box.top + box.height) * scale)
        cv2.rectangle(drawn, (left, top), (right - 1, bottom - 1), colour, 2)
        label = f"#{box.track_id} {box.label}" if box.track_id else box.label
        text = label.encode("ascii", "replace").decode()
        (text_width, text_height), _ = cv2.getTextSize(text, _FONT, 0.45, 1)
        above = max(text_height + 5, top)
        cv2.rectangle(
            drawn, (left, above - text_height - 5), (left + text_width + 4, above), colour, -1
        )
        cv2.putText(drawn, text, (left + 2, above - 3), _FONT, 0.45, (16, 16, 16), 1, cv2.LINE_AA)
    ok, encoded = cv2.imencode(
        ".jpg", np.ascontiguousarray(drawn), [cv2.IMWRITE_JPEG_QUALITY, _QUALITY]
    )
    if not ok:
        raise ValueError("the frame could not be encoded")
    return bytes(encoded)
