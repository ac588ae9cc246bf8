"""Seeking by index, pts or time, without decoding the frames before the target.

A frame's index is its rank in presentation order. The rank of a keyframe is the number of shown
packets stored before it (from the container's index, or by reading the packets without decoding)
plus its leading pictures: packets stored after it and shown before it, as in open GOPs.
"""

import heapq
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import chain
from typing import Any, Final

from streamproc.source.video.container import VideoStream
from streamproc.source.video.decoder import Seen
from streamproc.source.video.far_seek import Jumps

_MAX_LEADING: Final = 128
_MAX_ATTEMPTS: Final = 12
_MAX_HELD_BYTES: Final = 64 << 20
NEAR_BYTES: Final = 16 << 20
"""Up to this number of bytes of a remote source are read to count frames, not to estimate."""
_STEPS_BACK_S: Final = (0, 2, 6, 14, 30, 62, 126)
"""Seconds before a target from which to search for a keyframe, in order of attempts."""


@dataclass(frozen=True, slots=True)
class StreamStart:
    """The source's first frame that can be decoded: its pts is time zero.

    `index` is 0 unless broken frames precede it. `n_unshown`: number of packets with an earlier pts
    that are not frames (lead-in of a cut stream).
    """

    pts: int
    index: int = 0
    n_unshown: int = 0


@dataclass(frozen=True, slots=True)
class Target:
    """A frame to seek to, by pts or by index. The anchor must not be shown after it."""

    pts: int | None = None
    index: int | None = None

    def is_at_or_after(self, pts: int, index: int) -> bool:
        """Return whether the target is the frame (pts, index) or a later one."""
        if self.index is not None:
            return index <= self.index
        return self.pts is not None and pts <= self.pts


@dataclass(slots=True)
class SeekPoint:
    """Result of a seek: packets from a keyframe on, and the frame whose index is known.

    `anchor_index` is the index of the frame with `anchor_pts`. Frames shown before it must not be
    used (their references may be missing).
    """

    packets: Iterator[Any]
    anchor_pts: int
    anchor_index: int


class UnrankableError(Exception):
    """The packets do not define the order of the frames: decode from the start."""


def in_presentation_order(packets: Iterable[Any], stream: VideoStream) -> Iterator[Seen]:
    """Sort shown packets by pts; each is yielded when no earlier one can follow (its pts <= dts).

    Raises `UnrankableError` at a packet without pts or with an unusable time.
    """
    waiting: list[tuple[int, int, Any]] = []
    for order, packet in enumerate(packets):
        if packet.pts is None or not stream.is_orderly:
            raise UnrankableError
        if stream.is_shown(packet):
            heapq.heappush(waiting, (packet.pts, order, packet))
        while waiting and packet.dts is not None and waiting[0][0] <= packet.dts:
            yield _passed(heapq.heappop(waiting)[2])
    while waiting:
        yield _passed(heapq.heappop(waiting)[2])


def by_index(stream: VideoStream, head: StreamStart, target: Target) -> SeekPoint | None:
    """Seek with the container's index; None when it is not reliable or saves nothing."""
    entries = stream.stream.index_entries
    n_entries = len(entries)
    if not stream.is_indexed or n_entries == 0 or stream.has_fields or not stream.is_orderly:
        return None
    position = target.pts
    if target.index is not None:
        position = entries[min(target.index, n_entries - 1)].timestamp
    for _ in range(_MAX_ATTEMPTS):
        if position is None or not stream.seek(position):
            return None
        packets = stream.packets()
        key = next(packets, None)
        if key is None or not key.is_keyframe or key.pts is None or key.dts is None:
            return None
        order = entries.search_timestamp(key.dts, backward=True, any_frame=True)
        if order <= 0 or entries[order].timestamp != key.dts or entries[order].pos != key.pos:
            return None
        read, n_leading = _leading(key, packets, stream)
        stored_before = sum(1 for e in entries[:order] if e.size > 0 and not e.is_discard)
        index = stored_before + n_leading - head.n_unshown
        if target.is_at_or_after(key.pts, index) and key.pts > head.pts:
            return SeekPoint(chain([key], read, packets), key.pts, index)
        position = key.dts - 1
    return None


def by_reading(stream: VideoStream, head: StreamStart, target: Target) -> SeekPoint | None:
    """Read packets from the start without decoding, to the last keyframe before the target.

    The stream must have been rewound. None: there is no such keyframe, or no order of packets.
    """
    reader = _HoldingReader(stream.packets())
    anchor: tuple[int, int] | None = None
    index = head.index - 1
    try:
        for seen in in_presentation_order(reader, stream):
            if seen.pts < head.pts:
                continue
            index += 1
            if not target.is_at_or_after(seen.pts, index):
                break
            if seen.is_key:
                anchor = (seen.pts, index)
                reader.forget_before(seen.packet)
            if reader.held_bytes > _MAX_HELD_BYTES:
                break
    except UnrankableError:
        return None
    return None if anchor is None else SeekPoint(reader.replay(), *anchor)


def by_clock(stream: VideoStream, head: StreamStart, jumps: Jumps, pts: int) -> SeekPoint | None:
    """Seek to the last keyframe shown at or before `pts` without reading the data before it.

    Its index is estimated from its time and the frame rate. None when the container has no
    information for this, or when little data precedes it: that can be read and counted.
    """
    size = stream.size_bytes
    if size is None or size <= NEAR_BYTES:
        return None
    jumps.look_at_beginning()
    for back_s in _STEPS_BACK_S:
        aim = pts - round(back_s / stream.time_base)
        if aim <= head.pts or not jumps.go_before(aim):
            return None
        reader = _HoldingReader(stream.packets())
        key = _last_key(reader, stream, pts)
        if key is None:
            continue
        if 0 <= stream.place_of(key) < NEAR_BYTES:
            return None
        return SeekPoint(reader.replay(), key.pts, head.index + jumps.index_at(key.pts))
    return None


def before_pts(stream: VideoStream, pts: int) -> Iterator[Any] | None:
    """Seek to a keyframe shown at or before `pts`; None when that is not possible."""
    position = pts
    for _ in range(_MAX_ATTEMPTS):
        if not stream.seek(position):
            return None
        packets = stream.packets()
        key = next(packets, None)
        if key is None or key.pts is None:
            return None
        if key.is_keyframe and key.pts <= pts:
            return chain([key], packets)
        position = (key.pts if key.dts is None else key.dts) - 1
    return None


@dataclass(slots=True)
class _HoldingReader:
    """Iterates over packets and keeps those from the last confirmed keyframe on."""

    packets: Iterator[Any]
    held: deque[Any] = field(default_factory=deque)
    held_bytes: int = 0

    def __iter__(self) -> Iterator[Any]:
        for packet in self.packets:
            self.held.append(packet)
            self.held_bytes += packet.size
            yield packet

    def forget_before(self, packet: Any) -> None:
        while self.held and self.held[0] is not packet:
            self.held_bytes -= self.held.popleft().size

    def replay(self) -> Iterator[Any]:
        return chain(self.held, self.packets)


def _last_key(reader: _HoldingReader, stream: VideoStream, pts: int) -> Any:
    """Read up to `pts`; return the last keyframe shown at or before it, the first packet held."""
    found = None
    for packet in reader:
        if packet.pts is None or not stream.is_orderly or reader.held_bytes > _MAX_HELD_BYTES:
            return None
        if packet.is_keyframe and packet.pts <= pts and stream.is_shown(packet):
            found = packet
            reader.forget_before(packet)
        if (packet.pts if packet.dts is None else packet.dts) >= pts:
            break
    return found


def _leading(key: Any, packets: Iterator[Any], stream: VideoStream) -> tuple[list[Any], int]:
    """Read until no packet shown before `key` can follow; return packets and number of such."""
    read: list[Any] = []
    n_leading = 0
    while len(read) < _MAX_LEADING:
        packet = next(packets, None)
        if packet is None:
            break
        read.append(packet)
        if packet.pts is not None and packet.pts < key.pts and stream.is_shown(packet):
            n_leading += 1
        if packet.dts is not None and packet.dts >= key.pts:
            break
    return read, n_leading


def _passed(packet: Any) -> Seen:
    pos = VideoStream.place_of(packet)
    return Seen(packet.pts, is_key=packet.is_keyframe, packet=packet, pos=pos)
