"""RTP packets of one video track to coded pictures, in the order of the packets. Sans-IO."""

from collections.abc import Iterator
from typing import NamedTuple

from streamproc.source.live.rtp.jpeg import JpegPictures
from streamproc.source.live.rtp.nal_codecs import H264, H265
from streamproc.source.live.rtp.nal_units import NalUnits
from streamproc.source.live.rtp.order import Ordered, ReorderBuffer, Sequence
from streamproc.source.live.rtp.packet import TIMESTAMPS, Unwrapper, parse_rtp
from streamproc.source.live.rtp.picture_size import AnnouncedSize, Size
from streamproc.source.live.rtp.receiver_reports import ReceiverReports
from streamproc.source.live.rtsp.sdp import Track


class AccessUnit(NamedTuple):
    """A coded picture, as a decoder takes it: Annex B, or a whole JPEG.

    `timestamp`: of its capture, in 1 / `clock_hz` s of the track, without wraps. `arrival_s`: of
    its last byte, on the monotonic clock. `is_damaged`: packets of it are missing.
    `follows_loss`: packets before it are missing, so that it may refer to a picture that is.
    `starts_anew`: the source says that its times, or its video, go on from another place.
    `segment`: of a playlist, as `hls.place.SegmentName` names it. `is_known`: the task has had
    it; it is decoded for those that build on it, and counts no more.
    """

    data: bytes
    timestamp: int
    is_key: bool
    is_damaged: bool
    follows_loss: bool
    arrival_s: float
    starts_anew: bool = False
    segment: tuple[int, bytes] | None = None
    is_known: bool = False


class Depacketizer:
    """One track's packets. What is malformed or missing marks a picture as damaged.

    A picture ends at the packet with the marker bit, or before one with another timestamp. Of a
    sender that sets the bit within pictures, only the timestamps count once that has shown.
    """

    def __init__(self, track: Track, *, is_udp: bool) -> None:
        self.track = track
        self.receiver_reports = ReceiverReports(track.clock_hz)
        self._order = ReorderBuffer() if is_udp else Sequence()
        self._unwrapped = Unwrapper(TIMESTAMPS)
        self._pictures: NalUnits | JpegPictures
        if track.codec == "mjpeg":
            self._pictures = JpegPictures()
        else:
            codec = H264() if track.codec == "h264" else H265()
            self._pictures = NalUnits(codec, track.parameter_sets)
        self._timestamp: int | None = None
        self._ended: int | None = None
        self._follows_loss = False
        self._trusts_marker = True
        self._jpeg_size: Size | None = None
        self._announced_size = AnnouncedSize(track.codec)

    @property
    def n_lost(self) -> int:
        """Packets that never came."""
        return self._order.n_lost

    @property
    def parameter_sets(self) -> tuple[bytes, ...]:
        """The newest parameter sets as NAL units; none for JPEG."""
        return self._pictures.parameter_sets

    @property
    def size(self) -> Size | None:
        """Width and height that the stream announces; None if it has not yet, or unreadably."""
        if self.track.codec == "mjpeg":
            return self._jpeg_size
        return self._announced_size.of(self.parameter_sets)

    def push(self, data: bytes, now_s: float) -> Iterator[AccessUnit]:
        """Yield the pictures that an RTP packet completes; other bytes give none."""
        packet = parse_rtp(data)
        if packet is not None and packet.payload_type == self.track.payload_type:
            self.receiver_reports.note(packet, now_s)
            for ordered in self._order.push(packet, now_s):
                yield from self._add(ordered, now_s)

    def tick(self, now_s: float) -> Iterator[AccessUnit]:
        """Yield what no longer waits for a datagram that is missing."""
        for ordered in self._order.expired(now_s):
            yield from self._add(ordered, now_s)

    def lose(self) -> None:
        """Note that bytes are missing here: the packet before may be damaged, too."""
        self._follows_loss = True
        self._pictures.lose()

    def timestamp_near(self, timestamp: int) -> int:
        """Return an RTP timestamp of this track (of a sender report) without wraps."""
        return self._unwrapped.near(timestamp)

    def _add(self, ordered: Ordered, now_s: float) -> Iterator[AccessUnit]:
        packet = ordered.packet
        timestamp = self._unwrapped(packet.timestamp)
        if ordered.follows_loss:
            self.lose()
        if timestamp != self._timestamp:
            yield from self._end(now_s)
            if ordered.follows_loss:
                self._follows_loss = True
                self._pictures.lose()
        elif timestamp == self._ended:  # the marker was no end
            self._trusts_marker = False
        self._timestamp = timestamp
        self._pictures.add(packet.payload)
        if packet.is_last and self._trusts_marker and self._pictures.can_end:
            yield from self._end(now_s)
            self._ended = timestamp

    def _end(self, now_s: float) -> Iterator[AccessUnit]:
        if isinstance(self._pictures, JpegPictures):
            self._jpeg_size = self._pictures.size or self._jpeg_size
        picture = self._pictures.take()
        if picture is not None and self._timestamp is not None:
            yield AccessUnit(
                picture.data,
                self._timestamp,
                picture.is_key,
                picture.is_damaged,
                self._follows_loss,
                now_s,
            )
            self._follows_loss = False
