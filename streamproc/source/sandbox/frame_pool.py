"""Shared-memory frame pool between a decoder child and its worker: image slots of equal size.

The memory is a sealed memfd of a fixed, sparse size (pages exist once written). It is created
before the child knows its video. The seals stop a hostile child from shrinking it while the parent
uses it.
"""

import fcntl
import mmap
import os
from typing import Final

import numpy as np

from models.sizes import SourceShape
from streamproc.source.types import FrameOutputs, Image

RING_BYTES: Final = 1 << 30
_TARGET_BYTES: Final = 128 << 20
_MIN_SLOTS: Final = 6
_MAX_SLOTS: Final = 16
_PAGE: Final = 4096
MAX_STILL_PX: Final = 960
"""The longer side of a still has at most so many pixels."""


def create_pool() -> int:
    """Return the descriptor of a new frame pool; the caller closes it."""
    fd = os.memfd_create("framewire-frames", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    os.ftruncate(fd, RING_BYTES)
    fcntl.fcntl(fd, fcntl.F_ADD_SEALS, fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SEAL)
    return fd


class Layout:
    """Memory layout of the slots and their images. Both sides compute it from the same numbers."""

    def __init__(self, source: SourceShape, outputs: FrameOutputs) -> None:
        width, height, _ = source
        self.full_shape = (height, width, 3) if outputs.full else None
        box = outputs.scaled.network_size(source) if outputs.scaled else None
        self.scaled_shape = (box[1], box[0], 3) if box else None
        self.still_size = _bounded(width, height)
        """(width, height) of a still: that of the source, or less."""
        self._full_bytes = _round_up(width * height * 3) if outputs.full else 0
        scaled_bytes = _round_up(box[0] * box[1] * 3) if box else 0
        self.slot_bytes = max(_PAGE, self._full_bytes + scaled_bytes)
        self.n_slots = max(_MIN_SLOTS, min(_MAX_SLOTS, _TARGET_BYTES // self.slot_bytes))

    @property
    def fits(self) -> bool:
        return self.slot_bytes * self.n_slots <= RING_BYTES

    def views(self, memory: mmap.mmap, slot: int) -> tuple[Image | None, Image | None]:
        """Return (full, scaled) as arrays over the slot's memory, None if not requested."""
        start = slot * self.slot_bytes
        full = _array(memory, start, self.full_shape)
        return full, _array(memory, start + self._full_bytes, self.scaled_shape)

    def still(self, memory: mmap.mmap) -> Image | None:
        """Return the place of a still as an array: behind the slots, one for all pictures.

        None if there is no room for one.
        """
        start = self.slot_bytes * self.n_slots
        width, height = self.still_size
        if start + width * height * 3 > RING_BYTES:
            return None
        return _array(memory, start, (height, width, 3))


def _array(memory: mmap.mmap, start: int, shape: tuple[int, int, int] | None) -> Image | None:
    if shape is None:
        return None
    count = shape[0] * shape[1] * shape[2]
    return np.frombuffer(memory, np.uint8, count, start).reshape(shape)


def _bounded(width: int, height: int) -> tuple[int, int]:
    longer = max(width, height)
    if longer <= MAX_STILL_PX:
        return width, height
    return max(1, width * MAX_STILL_PX // longer), max(1, height * MAX_STILL_PX // longer)


def _round_up(n_bytes: int) -> int:
    return -(-n_bytes // _PAGE) * _PAGE
