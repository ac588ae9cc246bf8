"""Width and height of a picture in pixels, from a sequence parameter set (H.264, H.265)."""

from typing import Final

from streamproc.source.video.bits import BitReader
from streamproc.source.video.h264_sequence import read_head

MAX_PIXELS_A_SIDE: Final = 65_536
_SET_BYTES: Final = 1024

Size = tuple[int, int]
_H264_SPS: Final = 7
_H265_SPS: Final = 33


class AnnouncedSize:
    """The size that the newest parameter sets of a stream announce, parsed once for each."""

    def __init__(self, codec: str) -> None:
        """`codec`: `h264` or `hevc`."""
        self._is_h264 = codec == "h264"
        self._sized_by: bytes | None = None
        self._size: Size | None = None

    def of(self, parameter_sets: tuple[bytes, ...]) -> Size | None:
        """Return the size; None without a set that announces it, or if it cannot be parsed."""
        for nal in parameter_sets:
            kind = nal[0] & 31 if self._is_h264 else nal[0] >> 1 & 63
            if kind == (_H264_SPS if self._is_h264 else _H265_SPS):
                if nal != self._sized_by:
                    self._sized_by = nal
                    self._size = h264_size(nal) if self._is_h264 else h265_size(nal)
                return self._size
        return None


def h264_size(nal: bytes) -> Size | None:
    """Return the visible size (H.264, 7.3.2.1.1 and 7.4.2.1.1); None if it cannot be parsed."""
    try:
        return _possible(_h264(BitReader(nal[1:_SET_BYTES])))
    except IndexError:
        return None


def h265_size(nal: bytes) -> Size | None:
    """Return the visible size (H.265, 7.3.2.2); None if it cannot be parsed."""
    try:
        return _possible(_h265(BitReader(nal[2:_SET_BYTES])))
    except IndexError:
        return None


def _possible(size: Size) -> Size | None:
    return size if all(0 < side <= MAX_PIXELS_A_SIDE for side in size) else None


def _h264(bits: BitReader) -> Size:
    head = read_head(bits)
    n_fields = 1 if head.is_frames_only else 2
    width, height = 16 * head.width, 16 * head.rows * n_fields
    if not head.is_frames_only:
        bits.read(1)
    bits.read(1)
    if bits.read(1):
        unit_x = 2 if head.chroma in {1, 2} and not head.has_separate_planes else 1
        unit_y = (2 if head.chroma == 1 and not head.has_separate_planes else 1) * n_fields
        left, right, top, bottom = (bits.unsigned() for _ in range(4))
        width -= unit_x * (left + right)
        height -= unit_y * (top + bottom)
    return width, height


def _h265(bits: BitReader) -> Size:
    bits.read(4)
    n_sub_layers = bits.read(3)
    bits.read(1)
    bits.read(96)  # general profile, constraints and level
    present = [(bits.read(1), bits.read(1)) for _ in range(n_sub_layers)]
    if n_sub_layers:
        bits.read(2 * (8 - n_sub_layers))
    for has_profile, has_level in present:
        bits.read(88 * has_profile + 8 * has_level)
    bits.unsigned()
    chroma = bits.unsigned()
    if chroma == 3:
        bits.read(1)
    width, height = bits.unsigned(), bits.unsigned()
    if bits.read(1):
        unit_x, unit_y = (2 if chroma in {1, 2} else 1), (2 if chroma == 1 else 1)
        left, right, top, bottom = (bits.unsigned() for _ in range(4))
        width -= unit_x * (left + right)
        height -= unit_y * (top + bottom)
    return width, height
