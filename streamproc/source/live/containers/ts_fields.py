"""Fields of MPEG transport streams (ISO 13818-1) that are read and written: checksum, timestamp."""

from typing import Final

_CRC_POLYNOMIAL: Final = 0x04C11DB7


def crc32_mpeg(data: bytes) -> int:
    """Return the CRC-32 of MPEG-2; 0 over a section with its checksum."""
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte << 24
        for _ in range(8):
            crc = (crc << 1 ^ (_CRC_POLYNOMIAL if crc & 0x80000000 else 0)) & 0xFFFFFFFF
    return crc


def read_timestamp(field: bytes | bytearray) -> int:
    """Return the 33 bits of a timestamp of five bytes: PTS or DTS, in ticks of 90 kHz."""
    a, b, c = field[0], int.from_bytes(field[1:3], "big"), int.from_bytes(field[3:5], "big")
    return (a >> 1 & 7) << 30 | b >> 1 << 15 | c >> 1
