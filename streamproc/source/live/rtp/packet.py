"""RTP and RTCP packets (RFC 3550): headers parsed, sizes checked."""

from collections.abc import Iterator
from typing import Final, NamedTuple

_HEAD: Final = 12
_VERSION: Final = 2
_SENDER_REPORT: Final = 200
_BYE: Final = 203
_REPORT_BYTES: Final = 28
_NTP_EPOCH_S: Final = 2_208_988_800
"""Seconds from 1900, NTP's epoch, to 1970."""
SEQUENCES: Final = 1 << 16
TIMESTAMPS: Final = 1 << 32


class RtpPacket(NamedTuple):
    payload_type: int
    is_last: bool
    """The marker bit: for video, the last packet of a picture."""
    sequence: int
    timestamp: int
    sender: int
    payload: memoryview


class SenderReport(NamedTuple):
    """The sender's wall clock, in s since 1970, at an RTP timestamp."""

    sender: int
    wall_s: float
    timestamp: int


class Bye(NamedTuple):
    """The sender leaves."""


def parse_rtp(data: bytes) -> RtpPacket | None:
    """Return the packet; None if the bytes are none, or have no payload."""
    if len(data) < _HEAD or data[0] >> 6 != _VERSION or is_rtcp(data):
        return None
    start, end = _HEAD + 4 * (data[0] & 15), len(data)
    if data[0] & 0x10:
        if start + 4 > end:
            return None
        start += 4 + 4 * (data[start + 2] << 8 | data[start + 3])
    if data[0] & 0x20:
        end -= data[-1]
    if start >= end:
        return None
    return RtpPacket(
        payload_type=data[1] & 0x7F,
        is_last=bool(data[1] & 0x80),
        sequence=data[2] << 8 | data[3],
        timestamp=int.from_bytes(data[4:8], "big"),
        sender=int.from_bytes(data[8:12], "big"),
        payload=memoryview(data)[start:end],
    )


def is_rtcp(data: bytes) -> bool:
    """Return whether a packet on a shared channel is RTCP (RFC 5761, 4)."""
    return len(data) > 1 and 192 <= data[1] <= 223


def parse_rtcp(data: bytes) -> Iterator[SenderReport | Bye]:
    """Yield what matters of a compound packet, up to the first part that is malformed."""
    at = 0
    while at + 4 <= len(data) and data[at] >> 6 == _VERSION:
        kind, size = data[at + 1], 4 * (1 + (data[at + 2] << 8 | data[at + 3]))
        if at + size > len(data):
            return
        if kind == _SENDER_REPORT and size >= _REPORT_BYTES:
            seconds = int.from_bytes(data[at + 8 : at + 12], "big")
            fraction = int.from_bytes(data[at + 12 : at + 16], "big")
            yield SenderReport(
                sender=int.from_bytes(data[at + 4 : at + 8], "big"),
                wall_s=seconds - _NTP_EPOCH_S + fraction / 2**32,
                timestamp=int.from_bytes(data[at + 16 : at + 20], "big"),
            )
        elif kind == _BYE:
            yield Bye()
        at += size


class Unwrapper:
    """Continues a number that wraps around: each one is taken as near the last as possible."""

    def __init__(self, modulus: int) -> None:
        self._modulus = modulus
        self._last: int | None = None

    def __call__(self, value: int) -> int:
        """Return the number without wraps; the first is returned as it is."""
        self._last = self.near(value)
        return self._last

    def near(self, value: int) -> int:
        """Return what the number would be, and remember nothing."""
        if self._last is None:
            return value
        step = (value - self._last) % self._modulus
        return self._last + (step if step < self._modulus // 2 else step - self._modulus)
