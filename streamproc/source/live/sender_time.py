"""What a source says of its own clock: RTCP sender reports, or the dates of a playlist."""

from typing import NamedTuple

from streamproc.source.live.rtp.packet import SenderReport


class ReceivedReport(NamedTuple):
    """A sender report, with its RTP timestamp without wraps, and when it came."""

    report: SenderReport
    timestamp: int
    arrival_s: float
