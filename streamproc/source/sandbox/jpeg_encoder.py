"""Sandboxed JPEG encoder for decoded images, in a child of the fork server.

It is not the child that decoded the video: the encoder of the result has read only pixels.
"""

from typing import Final

import numpy as np

from streamproc.contract.preview import Box
from streamproc.source.errors import DecoderCrashedError
from streamproc.source.sandbox import decoder_client, frame_pool, ipc
from streamproc.source.types import Image

_TIMEOUT_S: Final = 20.0


def encode_jpeg(
    image: Image, boxes: tuple[Box, ...], width_px: int | None, *, require_sandbox: bool = False
) -> bytes:
    """Return the image with its boxes as JPEG, at most `width_px` wide (see `annotation.jpeg`).

    Raises `DecoderCrashedError`.
    """
    height, width = image.shape[:2]
    child = decoder_client.take()
    try:
        memory = child.memory
        if memory is None:
            raise DecoderCrashedError("the encoder process was stopped")
        start = image.size
        np.copyto(np.frombuffer(memory, np.uint8, start).reshape(image.shape), image)
        packed = ipc.encode(boxes)
        memory[start : start + len(packed)] = packed
        child.send(ipc.Draw(width, height, len(packed), width_px, require_sandbox))
        answer = child.receive(_TIMEOUT_S)
        if isinstance(answer, ipc.Failed):
            raise DecoderCrashedError(answer.message)
        if not isinstance(answer, ipc.Drawn):
            raise DecoderCrashedError("the encoder did not answer")
        if not 0 < answer.size_bytes <= frame_pool.RING_BYTES - start:
            raise DecoderCrashedError("the encoder reported an invalid JPEG size")
        return memory[start : start + answer.size_bytes]
    finally:
        child.end()
