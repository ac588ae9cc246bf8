"""Packets in, frames in presentation order out, and no packet lost without notice.

Every packet is tagged; libav copies the tag to the frame it becomes. A packet is *lost* when a
later packet (in decode order) that is also shown later has already come out: whether the decoder
raised an error for it or dropped it silently makes no difference. So `decoded + lost` accounts
for every frame of the file. Before the first frame comes out nothing is lost silently: what a
plain decoder does not show there (lead-in of a cut stream) is not part of the video.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import av.error

from streamproc.source.stream import VideoStream


@dataclass(slots=True)
class Seen:
    """One frame of the source, in presentation order.

    `frame` None with `packet` None: lost. With `packet`: passed by, not decoded (keyframe mode).
    """

    pts: int
    is_key: bool
    frame: Any = None
    packet: Any = None


class FrameDecoder:
    """Decodes packets of one stream; call `reset()` after every seek."""

    def __init__(self, stream: VideoStream) -> None:
        self._stream = stream
        self._tag = 0
        self._pending: dict[int, int] = {}
        self._errored: set[int] = set()
        self._started = False
        self._key_seen = False
        self._last_pts: int | None = None
        self.packets_sent = 0

    def reset(self) -> None:
        """Forget everything in flight; the stream was rewound or seeked."""
        self._pending.clear()
        self._errored.clear()
        self._started = False
        self._key_seen = False
        self._last_pts = None

    def run(self, packets: Iterator[Any]) -> Iterator[Seen]:
        """Decode all packets and drain the decoder."""
        for packet in packets:
            yield from self.send(packet)
        yield from self.drain()

    def send(self, packet: Any) -> Iterator[Seen]:
        """Decode one packet; yields what comes out, which may belong to earlier packets."""
        tag = self._tag
        self._tag += 1
        self._key_seen = self._key_seen or packet.is_keyframe
        if packet.pts is not None and self._stream.is_shown(packet):
            self._pending[tag] = packet.pts
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
        """Decode one keyframe by itself; None when that fails. Nothing else may be in flight."""
        self.packets_sent += 1
        codec = self._stream.codec
        try:
            frames = [*codec.decode(packet), *codec.decode(None)]
        except av.error.FFmpegError:
            frames = []
        codec.flush_buffers()
        return frames[0] if frames else None

    def drain(self) -> Iterator[Seen]:
        """Get the frames the decoder still holds; what is pending after that is lost."""
        try:
            frames = self._stream.codec.decode(None)
        except (av.error.FFmpegError, EOFError):
            frames = []
        for frame in frames:
            yield from self._shown(frame)
        rest = self._pending if self._started else {t: self._pending[t] for t in self._errored}
        yield from (Seen(pts, is_key=False) for pts in sorted(rest.values()))
        self._pending.clear()
        self._errored.clear()

    def _error(self, tag: int, packet: Any) -> Iterator[Seen]:
        if not self._key_seen:
            self._pending.pop(tag, None)
        elif tag in self._pending:
            self._errored.add(tag)
        elif packet.pts is None:
            yield Seen(self._next_pts(), is_key=False)

    def _shown(self, frame: Any) -> Iterator[Seen]:
        tag = frame.opaque
        pts = self._pending.pop(tag, frame.pts) if tag is not None else frame.pts
        if pts is None:
            pts = self._next_pts()
        if tag is not None and self._pending:
            yield from self._lost_before(tag, pts, silent=self._started and not _is_field(frame))
        self._started = True
        self._last_pts = pts
        yield Seen(pts, is_key=bool(frame.key_frame), frame=frame)

    def _lost_before(self, tag: int, pts: int, *, silent: bool) -> Iterator[Seen]:
        lost = [t for t, other in self._pending.items() if t < tag and other < pts]
        for missing in sorted(lost, key=self._pending.__getitem__):
            missing_pts = self._pending.pop(missing)
            if missing in self._errored or silent:
                self._errored.discard(missing)
                yield Seen(missing_pts, is_key=False)

    def _next_pts(self) -> int:
        """Give a time to a frame whose file has none: one frame interval after the last."""
        step = max(1, round(1 / (self._stream.rate * self._stream.time_base)))
        self._last_pts = 0 if self._last_pts is None else self._last_pts + step
        return self._last_pts


def _is_field(frame: Any) -> bool:
    """Interlaced: two packets may share one frame, so a packet without a frame is no loss."""
    return bool(frame.interlaced_frame)
