"""Coded pictures of H.264 and H.265 from whole NAL units, as a decoder takes them (Annex B)."""

from collections.abc import Iterable, Iterator
from typing import Final

from streamproc.source.live.rtp.nal_codecs import H264, H265, NalCodec
from streamproc.source.live.rtp.nal_units import NalUnits, Picture
from streamproc.source.live.rtp.picture_size import AnnouncedSize, Size

CODECS: Final[dict[str, type[H264] | type[H265]]] = {"h264": H264, "hevc": H265}
_START: Final = b"\0\0\1"


class CodedPictures:
    """Pictures of one codec. Keyframes without parameter sets get the newest ones."""

    def __init__(self, codec: str, parameter_sets: tuple[bytes, ...] = ()) -> None:
        """`codec`: a key of `CODECS`."""
        self.codec = codec
        nal_codec: NalCodec = CODECS[codec]()
        self._units = NalUnits(nal_codec, parameter_sets)
        self._size = AnnouncedSize(codec)

    @property
    def size(self) -> Size | None:
        return self._size.of(self._units.parameter_sets)

    def lose(self) -> None:
        """Note that bytes before the next picture are missing."""
        self._units.lose()

    def picture(self, nals: Iterable[bytes]) -> Picture | None:
        """Return the picture of these units; None if they have none: parameter sets alone."""
        for nal in nals:
            self._units.add_unit(nal)
        return self._units.take()


def annexb_units(data: bytes) -> Iterator[bytes]:
    """Yield the NAL units of a byte stream (H.264, annex B)."""
    start = data.find(_START)
    while start >= 0:
        begin = start + len(_START)
        start = data.find(_START, begin)
        unit = data[begin:] if start < 0 else data[begin:start]
        unit = unit.rstrip(b"\0")
        if unit:
            yield unit


def prefixed_units(data: bytes, prefix_bytes: int) -> Iterator[bytes]:
    """Yield NAL units that follow their length (ISO/IEC 14496-15). Raises `ValueError`."""
    at = 0
    while at < len(data):
        begin = at + prefix_bytes
        at = begin + int.from_bytes(data[at:begin], "big")
        if begin > len(data) or at > len(data):
            raise ValueError("a NAL unit that goes beyond its picture")
        if at > begin:
            yield data[begin:at]
