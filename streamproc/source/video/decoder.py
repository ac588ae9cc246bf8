"""Packet-to-frame decoder: frames in presentation order, with accounting of lost packets.

Every packet has a tag; libav copies it to the packet's frame. A packet is *lost* if a packet that
is later both in decode order and in presentation order has already been output. It makes no
difference whether the decoder raised an error for it or dropped it silently. So `decoded + lost`
accounts for every frame of the file. Until the first frame is output, only packets with an error
are lost. Later, packets to be shown before the first frame are never lost: what a plain decoder
does not output there (lead-in of a cut stream, leading pictures of its first keyframe) is not part
of the video.

If times are in decode order (AVI with reordered frames), they do not belong to single packets: the
n-th output frame has the n-th time, and only an error shows that a frame is lost.
"""

import heapq
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import av.error

from streamproc.source.types import NO_PLACE
from streamproc.source.video.container import VideoStream

_FIRST_TAG = 1 << 32
"""PyAV distinguishes tags by identity, and all decoders of a process share small integers."""
_MAX_PLACES = 1024
"""Maximum of stored positions of packets without a frame yet; the oldest are dropped."""


@dataclass(slots=True)
class Seen:
    """One frame of the source, in presentation order.

    `frame` None with `packet` None: lost. With `packet`: not decoded (keyframe mode).
    `pos`: position of its packet in the file, `NO_PLACE` when unknown.
    """

    pts: int
    is_key: bool
    frame: Any = None
    packet: Any = None
    pos: int = NO_PLACE


class FrameDecoder:
    """Decodes packets of one stream; call `reset()` after every seek."""

    def __init__(self, stream: VideoStream) -> None:
        self._stream = stream
        self._tag = _FIRST_TAG
        self._pending: dict[int, int] = {}
        self._places: dict[int, int] = {}
        self._times: list[int] = []
        self._errored: set[int] = set()
        self._first_pts: int | None = None
        self._key_seen = False
        self._last_pts: int | None = None
        self.packets_sent = 0

    def reset(self) -> None:
        """Discard all state of packets in flight, after a rewind or seek of the stream."""
        self._pending.clear()
        self._places.clear()
        self._times.clear()
        self._errored.clear()
        self._first_pts = None
        self._key_seen = False
        self._last_pts = None

    def run(self, packets: Iterator[Any]) -> Iterator[Seen]:
        """Decode all packets and drain the decoder."""
        for packet in packets:
            yield from self.send(packet)
        yield from self.drain()

    def send(self, packet: Any) -> Iterator[Seen]:
        """Decode one packet; yields the output, which may belong to earlier packets."""
        self._tag = tag = self._tag + 1
        self._key_seen = self._key_seen or packet.is_keyframe
        if self._stream.is_shown(packet):
            self._expect(tag, packet)
        packet.opaque = tag
        self.packets_sent += 1
        try:
            frames = self._stream.codec.decode(packet)
        except av.error.FFmpegError:
            yield from self._error(tag, packet)
            return
        for frame in frames:
            yield from self._shown(frame)

    def decode_alone(self, packet: Any) -> Any:
        """Decode a single keyframe; None when that fails. No other packet may be in flight."""
        self.packets_sent += 1
        codec = self._stream.codec
        try:
            frames = [*codec.decode(packet), *codec.decode(None)]
        except av.error.FFmpegError:
            frames = []
        codec.flush_buffers()
        return frames[0] if frames else None

    def drain(self) -> Iterator[Seen]:
        """Yield the frames that the decoder still holds; packets pending after that are lost."""
        try:
            frames = self._stream.codec.decode(None)
        except (av.error.FFmpegError, EOFError):
            frames = []
        for frame in frames:
            yield from self._shown(frame)
        for tag in sorted(self._pending, key=self._pending.__getitem__):
            if tag in self._errored or self._first_pts is not None:
                yield from self._lost(tag)
        self._pending.clear()
        self._errored.clear()

    def _expect(self, tag: int, packet: Any) -> None:
        if len(self._places) > _MAX_PLACES:
            del self._places[next(iter(self._places))]
        self._places[tag] = self._stream.place_of(packet)
        if self._stream.counts_only:
            time = packet.dts if packet.pts is None else packet.pts
            if time is not None:
                heapq.heappush(self._times, time)
        elif packet.pts is not None:
            self._pending[tag] = packet.pts

    def _error(self, tag: int, packet: Any) -> Iterator[Seen]:
        if not self._key_seen:
            self._pending.pop(tag, None)
        elif tag in self._pending:
            self._errored.add(tag)
        elif self._stream.counts_only or packet.pts is None:
            yield Seen(self._next_time(), is_key=False)

    def _shown(self, frame: Any) -> Iterator[Seen]:
        tag = frame.opaque
        pts = frame.pts if tag is None else self._pending.pop(tag, frame.pts)
        if self._stream.counts_only or pts is None:
            pts = self._next_time()
        if tag is not None and self._pending:
            silent = self._first_pts is not None and not _is_field(frame)
            yield from self._lost_before(tag, pts, silent=silent)
        if self._first_pts is None:
            self._first_pts = pts
        self._last_pts = pts
        pos = NO_PLACE if tag is None else self._places.pop(tag, NO_PLACE)
        yield Seen(pts, is_key=bool(frame.key_frame), frame=frame, pos=pos)

    def _lost_before(self, tag: int, pts: int, *, silent: bool) -> Iterator[Seen]:
        lost = [t for t, other in self._pending.items() if t < tag and other < pts]
        for missing in sorted(lost, key=self._pending.__getitem__):
            if missing in self._errored or silent:
                yield from self._lost(missing)
            else:
                del self._pending[missing]

    def _lost(self, tag: int) -> Iterator[Seen]:
        pts = self._pending.pop(tag)
        self._errored.discard(tag)
        if self._first_pts is None or pts >= self._first_pts:
            yield Seen(pts, is_key=False, pos=self._places.pop(tag, NO_PLACE))

    def _next_time(self) -> int:
        """Return the next known time, else the last time plus one frame."""
        if self._times:
            self._last_pts = heapq.heappop(self._times)
            return self._last_pts
        step = max(1, round(1 / (self._stream.rate * self._stream.time_base)))
        self._last_pts = 0 if self._last_pts is None else self._last_pts + step
        return self._last_pts


def _is_field(frame: Any) -> bool:
    """Return whether a frame is interlaced: then two packets may share it, and none is lost."""
    return bool(frame.interlaced_frame)
