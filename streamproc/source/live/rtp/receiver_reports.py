"""RTCP receiver reports (RFC 3550, 6.4.2): some cameras end a session that sends none. Sans-IO."""

import secrets
import struct
from typing import Final

from streamproc.source.live.rtp.packet import SEQUENCES, RtpPacket, SenderReport, Unwrapper

INTERVAL_S: Final = 5.0
_RECEIVER_REPORT: Final = 201
_DESCRIPTION: Final = 202
_CANONICAL_NAME: Final = 1
_NAME: Final = b"framewire"
_MOST_LOST: Final = 0x7FFFFF
_WORD: Final = 0xFFFFFFFF


class ReceiverReports:
    """What was received of a track's newest sender, and the reports on it."""

    def __init__(self, clock_hz: int) -> None:
        self._clock_hz = clock_hz
        self._own = secrets.randbits(32)
        self._sender: int | None = None
        self._next_s: float | None = None
        self._unwrapped = Unwrapper(SEQUENCES)
        self._first: int | None = None
        self._highest: int | None = None
        self._n_received = 0
        self._before = (0, 0)
        self._transit: int | None = None
        self._jitter = 0.0
        self._last_report = 0
        self._last_report_s = 0.0

    def note(self, packet: RtpPacket, now_s: float) -> None:
        """Count a packet, in the order of its arrival."""
        if packet.sender != self._sender:
            self._start(packet.sender)
        number = self._unwrapped(packet.sequence)
        self._first = number if self._first is None else self._first
        self._highest = number if self._highest is None else max(self._highest, number)
        self._n_received += 1
        transit = int(now_s * self._clock_hz) - packet.timestamp
        if self._transit is not None:
            step = abs((transit - self._transit + (1 << 31)) % (1 << 32) - (1 << 31))
            self._jitter += (step - self._jitter) / 16
        self._transit = transit

    def note_report(self, report: SenderReport, now_s: float) -> None:
        """Take a sender's report, which ours refer to."""
        if report.sender == self._sender:
            self._last_report = (int(report.wall_s * 65536) + (2_208_988_800 << 16)) & _WORD
            self._last_report_s = now_s

    def due(self, now_s: float) -> bytes | None:
        """Return a report every `INTERVAL_S`, after the first packet; None in between."""
        if self._highest is None or self._sender is None:
            return None
        if self._next_s is None:
            self._next_s = now_s + INTERVAL_S
        if now_s < self._next_s:
            return None
        self._next_s = now_s + INTERVAL_S
        return self._report(self._sender, self._first or 0, self._highest, now_s)

    def _report(self, sender: int, first: int, highest: int, now_s: float) -> bytes:
        n_expected = highest - first + 1
        n_lost = n_expected - self._n_received
        expected, received = n_expected - self._before[0], self._n_received - self._before[1]
        self._before = n_expected, self._n_received
        fraction = min(max((expected - received) * 256 // expected, 0), 255) if expected > 0 else 0
        delay = 0
        if self._last_report:
            delay = min(int((now_s - self._last_report_s) * 65536), _WORD)
        block = struct.pack(
            ">IIIIII",
            sender,
            fraction << 24 | min(max(n_lost, 0), _MOST_LOST),
            highest & _WORD,
            min(int(self._jitter), _WORD),
            self._last_report,
            delay,
        )
        return struct.pack(">BBHI", 0x81, _RECEIVER_REPORT, 7, self._own) + block + self._named()

    def _named(self) -> bytes:
        """Return the source description that a compound packet must have."""
        item = bytes([_CANONICAL_NAME, len(_NAME)]) + _NAME
        item += bytes(4 - len(item) % 4)
        n_words = 1 + len(item) // 4
        return struct.pack(">BBHI", 0x81, _DESCRIPTION, n_words, self._own) + item

    def _start(self, sender: int) -> None:
        """Begin to count another sender's packets."""
        self._sender = sender
        self._unwrapped = Unwrapper(SEQUENCES)
        self._first = self._highest = self._transit = None
        self._n_received, self._before = 0, (0, 0)
        self._jitter = 0.0
        self._last_report = 0
