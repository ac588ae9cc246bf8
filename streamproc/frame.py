"""One frame of a video as JPEG: `python -m streamproc frame`, a child of the api.

Orders come on stdin, one line of JSON each (`FrameOrder`), answers go to stdout: one line of JSON
(`FrameAnswer`), then as many bytes of JPEG as it says. URLs never stand in an argument list. The
source is opened as a worker opens it: behind the guard, decoded in the sandboxed grandchild, which
stays warm between orders. The process ends with its stdin.
"""

import json
import os
import sys
from typing import BinaryIO

import cv2
import msgspec
import numpy as np

from streamproc.contract import env
from streamproc.contract.frame import NO_SUCH_FRAME, Box, FrameAnswer, FrameOrder
from streamproc.contract.spec import FrameRange, Sampling
from streamproc.settings import InvalidSettingError, read_settings
from streamproc.source.errors import SourceError
from streamproc.source.fetch import FetchPolicy
from streamproc.source.frames import open_source
from streamproc.source.ring import Image
from streamproc.source.types import FrameOutputs, SourceSpec

_QUALITY = 85
_PALETTE_BGR = (
    *((240, 201, 76), (79, 199, 249), (123, 224, 144), (171, 143, 255)),
    *((255, 164, 185), (87, 159, 255), (212, 234, 94), (249, 121, 232)),
)
_FONT = cv2.FONT_HERSHEY_SIMPLEX


def main(_: list[str]) -> int:
    """Answer orders until stdin ends."""
    try:
        settings = read_settings({env.KAFKA: "not used", **os.environ})
    except InvalidSettingError as exc:
        sys.stderr.write(f"{exc}\n")
        return 2
    policy = FetchPolicy(
        allowed_file_roots=settings.file_roots,
        allowed_private_hosts=settings.private_hosts,
        max_bytes=settings.max_source_bytes,
        total_timeout_s=60.0,
        decode_stall_timeout_s=20.0,
    )
    serve(sys.stdin.buffer, sys.stdout.buffer, policy)
    return 0


def serve(orders: BinaryIO, answers: BinaryIO, policy: FetchPolicy) -> None:
    """Answer every line of `orders` in turn."""
    decoder = msgspec.json.Decoder(FrameOrder)
    for line in orders:
        answer, jpeg = answer_order(decoder.decode(line), policy)
        answers.write(json.dumps(msgspec.to_builtins(answer)).encode() + b"\n" + jpeg)
        answers.flush()


def answer_order(order: FrameOrder, policy: FetchPolicy) -> tuple[FrameAnswer, bytes]:
    """Return the frame; what is wrong with the source stands in the answer."""
    if order.own_host is not None:
        policy = msgspec.structs.replace(
            policy, allowed_private_hosts=frozenset({order.own_host}), allowed_file_roots=()
        )
    spec = SourceSpec(
        order.url,
        Sampling("interval", 1),
        FrameRange(order.index, order.index + 1, "frames"),
    )
    try:
        with open_source(spec, policy, FrameOutputs(full=True)) as source:
            for frame in source:
                if frame.image is not None:
                    height, width = frame.image.shape[:2]
                    jpeg = draw(frame.image, order.boxes, order.width_px)
                    return FrameAnswer(len(jpeg), width, height), jpeg
    except SourceError as exc:
        return FrameAnswer(0, error_code=exc.code, error=str(exc)), b""
    return FrameAnswer(0, error_code=NO_SUCH_FRAME, error="The video has no such frame."), b""


def draw(image: Image, boxes: tuple[Box, ...], width_px: int | None) -> bytes:
    """Return the image as JPEG, at most `width_px` wide, with the boxes' outlines and labels.

    `image` is (height, width, 3) uint8 BGR and stays as it is; boxes are in its pixels.
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
