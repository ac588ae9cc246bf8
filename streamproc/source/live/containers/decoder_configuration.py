"""Decoder configuration of H.264 and H.265 in MP4 and FLV (ISO/IEC 14496-15, 5.3.3 and 8.3.3)."""

from typing import Final, NamedTuple

MAX_BYTES: Final = 64 * 1024
MAX_SETS: Final = 64
_PARAMETER_SETS: Final = frozenset({32, 33, 34})


class Configuration(NamedTuple):
    """`prefix_bytes`: of the length in front of each NAL unit. `parameter_sets`: NAL units."""

    prefix_bytes: int
    parameter_sets: tuple[bytes, ...]


def configuration(codec: str, data: bytes) -> Configuration:
    """Parse the configuration of `h264` or `hevc`. Raises `ValueError`."""
    return _h264(data) if codec == "h264" else _h265(data)


def _h264(data: bytes) -> Configuration:
    """Parse an AVCDecoderConfigurationRecord. Raises `ValueError`."""
    if len(data) < 7 or data[0] != 1:
        raise ValueError("not a configuration of H.264")
    reader = _Reader(data, 5)
    sets = reader.units(reader.number(1) & 31)
    sets += reader.units(reader.number(1))
    return Configuration((data[4] & 3) + 1, tuple(sets))


def _h265(data: bytes) -> Configuration:
    """Parse an HEVCDecoderConfigurationRecord. Raises `ValueError`."""
    if len(data) < 23 or data[0] != 1:
        raise ValueError("not a configuration of H.265")
    reader = _Reader(data, 22)
    sets: list[bytes] = []
    for _ in range(reader.number(1)):
        kind = reader.number(1) & 63
        units = reader.units(reader.number(2))
        sets += units if kind in _PARAMETER_SETS else []
    return Configuration((data[21] & 3) + 1, tuple(sets[:MAX_SETS]))


class _Reader:
    def __init__(self, data: bytes, at: int) -> None:
        self._data, self._at = data[:MAX_BYTES], at

    def number(self, n_bytes: int) -> int:
        return int.from_bytes(self._take(n_bytes), "big")

    def units(self, count: int) -> list[bytes]:
        return [self._take(self.number(2)) for _ in range(count)]

    def _take(self, n_bytes: int) -> bytes:
        taken = self._data[self._at : self._at + n_bytes]
        if len(taken) < n_bytes:
            raise ValueError("a configuration that ends early")
        self._at += n_bytes
        return taken
