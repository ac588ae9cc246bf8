"""Head of an H.264 sequence parameter set (7.3.2.1.1), up to what says whether there are fields."""

from typing import Final, NamedTuple

from streamproc.source.video.bits import BitReader, skip_scaling_lists

_WITH_CHROMA: Final = frozenset({100, 110, 122, 244, 44, 83, 86, 118, 128, 138, 139, 134, 135})


class SequenceHead(NamedTuple):
    """`width` and `rows` count macroblocks; a row is one of a frame, or of each of two fields.

    `chroma`: the format (1 is 4:2:0, 3 is 4:4:4).
    """

    number: int
    chroma: int
    has_separate_planes: bool
    frame_num_bits: int
    width: int
    rows: int
    is_frames_only: bool


def read_head(bits: BitReader) -> SequenceHead:
    """Read the head; `bits` begins after the NAL unit's header. Raises IndexError at the end."""
    profile = bits.read(8)
    bits.read(16)
    number = bits.unsigned()
    chroma, has_separate_planes = 1, False
    if profile in _WITH_CHROMA:
        chroma = bits.unsigned()
        has_separate_planes = chroma == 3 and bool(bits.read(1))
        bits.unsigned()
        bits.unsigned()
        bits.read(1)
        if bits.read(1):
            skip_scaling_lists(bits, 8 if chroma != 3 else 12)
    frame_num_bits = bits.unsigned() + 4
    order = bits.unsigned()
    if order == 0:
        bits.unsigned()
    elif order == 1:
        bits.read(1)
        bits.signed()
        bits.signed()
        for _ in range(min(bits.unsigned(), 255)):
            bits.signed()
    bits.unsigned()
    bits.read(1)
    width, rows = bits.unsigned() + 1, bits.unsigned() + 1
    is_frames_only = bool(bits.read(1))
    return SequenceHead(
        number, chroma, has_separate_planes, frame_num_bits, width, rows, is_frames_only
    )
