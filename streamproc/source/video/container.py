"""Guarded demuxer of one container: forced format, one video stream, listed codecs only.

Runs in the decoder child. All calls are synchronous libav calls through PyAV.
"""

import contextlib
from collections.abc import Callable, Iterator
from fractions import Fraction
from functools import cache
from itertools import islice
from typing import Any, Final, NoReturn

import av
import av.error
import av.logging

from streamproc.source.errors import (
    SourceEmptyError,
    SourceNotVideoError,
    SourceTooLargeError,
    SourceTruncatedError,
    SourceUnsupportedError,
)
from streamproc.source.types import NO_PLACE
from streamproc.source.video import container_probe, h264_fields, mp4_boxes, mp4_fragments
from streamproc.source.video.codecs import CODECS, MAX_STREAMS, open_options
from streamproc.source.video.duration import INDEXED, Extent
from streamproc.source.video.libav_io import BoxRow, Bridge, ForwardPassage, Passage, RandomAccess
from streamproc.source.video.timestamps import TimeLine

_IO_BUFFER_BYTES: Final = 128 * 1024
_MAX_BROKEN_READS: Final = 64
_BROKEN_READ: Final = (
    av.error.InvalidDataError,
    av.error.UndefinedError,
    av.error.BlockingIOError,  # EAGAIN: a damaged transport stream returned nothing this time
)
_MANY_PIXELS: Final = 1920 * 1088
_THREADS_FOR_MANY_PIXELS: Final = 3
_VISIBLE_VP8: Final = 0x10
_ORDER_PACKETS: Final = 64
_MAX_PLACE: Final = 2**53
_JOINED: Final = ("mpegts", "mpeg")
"""Formats whose timestamps are not comparable across a cut."""
_READ_FORWARD: Final = ("mpegts", "mpeg", "matroska", "flv")
"""Formats that are read from first to last byte, unless an index or a duration is needed."""


class _SecondField:
    """Tag of a packet. PyAV distinguishes tags by identity, so each packet has its own object."""


class VideoStream:
    """The video stream of an open container; reopen it with `rewind()`."""

    def __init__(
        self,
        file: RandomAccess,
        *,
        max_pixels: int,
        number: int | None = None,
        on_packet: Callable[[], None] = lambda: None,
    ) -> None:
        """Open the container; raises a `SourceError`.

        `number`: the stream to read, of all in the file; None: the default or largest video.
        `on_packet` is called before each packet that `packets()` yields.
        """
        self._number = number
        self._file = file
        self._on_packet = on_packet
        self._max_pixels = max_pixels
        read_at = cache(self.read_at)  # both iterations over a file's boxes read the same headers
        self.format = container_probe.container_format(
            read_at(0, container_probe.SNIFF_BYTES), read_at
        )
        self.movie = (
            mp4_fragments.movie_of_fragments(read_at)
            if self.format == "mov" and file.is_far
            else None
        )
        """The `moov` of a fragmented file that is read only in part; None for other files."""
        self._row: BoxRow | None = None
        size = file.size_bytes
        self.truncated = (
            size is not None
            and self.movie is None
            and container_probe.is_truncated(self.format, read_at, size)
        )
        """Whether the file is shorter than its headers say; after opening, also than its index."""
        if self.format == "mov":
            self._check_boxes(read_at)
        self._container: Any = None
        self.stream: Any = None
        self.codec: Any = None
        self._line: TimeLine
        self._fields: h264_fields.Fields | None
        self.has_fields = False  # whether a frame consisted of two packets so far
        self.counts_only = False
        """Whether times are in decode order: the n-th frame has the n-th time."""
        self._declared_s: float | None = None
        self.rewind()
        self._declared_s = self._listed_s()
        self.truncated = self.truncated and not self._has_every_sample()
        self._look_at_order()

    def _check_boxes(self, read_at: container_probe.ReadAt) -> None:
        try:
            mp4_boxes.check(read_at, self._file.size_bytes, only_first=self.movie is not None)
        except SourceTooLargeError as exc:
            if self.truncated:
                raise SourceTruncatedError("the file ends before its headers do") from exc
            raise

    def rewind(self, bridge: Bridge | None = None) -> None:
        """(Re)open the container and return to its start; raises a `SourceError`.

        With a bridge, the file appears to be empty in the bridge's range.
        """
        self.close()
        options = open_options(self.format)
        if self.movie is not None:
            options["fflags"] = "+ignidx"  # fragments are read in sequence, not in advance
            end = self.movie.end if bridge is None else bridge.end
            self._row = BoxRow(self.read_at, end)
        av.logging.set_level(av.logging.ERROR)
        try:
            with av.logging.Capture() as log:
                self._container = av.open(
                    self._passage(bridge),
                    "r",
                    format=self.format,
                    options={"threads": "1"},
                    container_options=options,
                    buffer_size=_IO_BUFFER_BYTES,
                    metadata_errors="ignore",  # the encoding of metadata does not matter here
                    io_open=_refuse_to_open,
                )
        except av.error.FFmpegError as exc:
            if self.truncated:
                raise SourceTruncatedError("the file ends before its headers do") from exc
            if any("max_streams" in line for _, _, line in log):
                raise SourceTooLargeError(f"the file has more than {MAX_STREAMS} tracks") from exc
            raise SourceUnsupportedError("the file cannot be read as a video") from exc
        finally:
            av.logging.set_level(None)
        self._choose(size_complaint=any("Picture size" in line for _, _, line in log))

    def _passage(self, bridge: Bridge | None) -> Passage | ForwardPassage:
        on_read = self._note_read
        return (
            ForwardPassage(self._file, on_read)
            if self._is_read_forward
            else Passage(self._file, bridge, on_read)
        )

    @property
    def _is_read_forward(self) -> bool:
        is_wanted = self.format in _READ_FORWARD or self.movie is not None
        return is_wanted and self._file.is_arriving

    def _note_read(self, start: int, end: int) -> None:
        if self._row is not None:
            self._row.passed(start, end)

    def close(self) -> None:
        """Close the container, not the file. Idempotent."""
        if self._container is not None:
            self._container.close()
            self._container = None

    @property
    def time_base(self) -> Fraction:
        return Fraction(self.stream.time_base or Fraction(1, 1000))

    @property
    def size_bytes(self) -> int | None:
        return self._file.size_bytes

    @property
    def extent(self) -> Extent:
        """Duration and number of frames, as far as the container has them."""
        return Extent(
            self._container,
            self.stream,
            self.format,
            is_read_in_part=self.movie is not None,
            declared_s=self._declared_s,
        )

    @property
    def rate(self) -> Fraction:
        """Average frame rate; 25 when the container has no information."""
        return self.extent.rate

    @property
    def is_indexed(self) -> bool:
        """Whether the container has an index of all packets, in decode order."""
        return self.extent.is_indexed

    @property
    def total_is_exact(self) -> bool:
        """Whether the number of frames is counted from the index, not estimated."""
        return self.is_indexed and not self.has_fields

    def packets(self) -> Iterator[Any]:
        """Yield packets of the video stream in decode order, from the current position.

        Broken parts are skipped, and packets of streams that begin later in the file, which PyAV
        does not know. Read errors of the file itself are not caught.
        """
        broken = 0
        while broken < _MAX_BROKEN_READS:
            try:
                for packet in self._container.demux(self.stream):
                    if packet.size:
                        broken = 0
                        self._on_packet()
                        self._enter(packet)
                        yield packet
            except _BROKEN_READ:
                broken += 1
            except IndexError:  # from PyAV's list of streams, which is that of the start
                continue
            else:
                break
        if self._row is not None and self._row.goes_beyond(self._file.size_bytes):
            self.truncated = True

    @property
    def is_orderly(self) -> bool:
        """Whether the packets' times have defined their presentation order so far."""
        return self._line.is_orderly and not self.counts_only

    @property
    def may_repeat_times(self) -> bool:
        """Whether a time may be repeated later in the file, as in joined recordings."""
        return self.format in _JOINED

    @property
    def needs_its_beginning(self) -> bool:
        """Whether decoding any packet needs data of the first packet: a palette."""
        return bool(self.codec.pix_fmt == "pal8")

    def _has_every_sample(self) -> bool:
        """Whether an index exists and all its samples are within the file.

        The lengths in the headers may be wrong.
        """
        size = self._file.size_bytes
        if self.format not in INDEXED or size is None or not self.is_indexed:
            return False
        return all(entry.pos + entry.size <= size for entry in self.stream.index_entries)

    def _listed_s(self) -> float | None:
        """Return the duration of a fragmented file that is not read to its end, None if unknown."""
        size = self._file.size_bytes
        if self.movie is None or size is None or self._file.is_arriving:
            return None
        scale = self.time_base.denominator
        marks = mp4_fragments.listed(self.read_at, self.movie, self.stream.id, size, scale)
        if len(marks) < 2:
            return None
        last, before = marks[-1].time, marks[-2].time
        return float((last + max(0, last - before) - marks[0].time) * self.time_base)

    def _look_at_order(self) -> None:
        """Set `counts_only` for an AVI in decode order: it numbers its chunks as they are decoded.

        Some codecs in AVI provide presentation times.
        """
        if self.format == "avi" and self.codec.reorder_depth > 0:
            self.counts_only = self._is_in_decode_order()
            self.rewind()

    def _is_in_decode_order(self) -> bool:
        """Whether times never decrease although frames are reordered."""
        last: int | None = None
        for packet in islice(self.packets(), _ORDER_PACKETS):
            if packet.pts is None:
                continue
            if last is not None and packet.pts < last:
                return False
            last = packet.pts
        return True

    def _enter(self, packet: Any) -> None:
        """Map a packet's times to the time line; its byte position is unchanged."""
        fields = self._fields
        is_second = (
            fields is not None
            and fields.may_come
            and fields.is_second(bytes(memoryview(packet)[: h264_fields.HEAD_BYTES]))
        )
        if is_second:
            self.has_fields = True
            packet.opaque = _SecondField()
        if not packet.is_discard:
            packet.pts, packet.dts = self._line.enter(
                packet.pts, packet.dts, reorders=self.codec.reorder_depth > 0
            )

    def _begin_line(self) -> None:
        frame = round(1 / (self.rate * self.time_base))
        self._line = TimeLine(self.time_base, frame, has_cuts=self.format in _JOINED)
        self._fields = None
        if self.codec.name == "h264":
            self._fields = h264_fields.Fields(bytes(self.codec.extradata or b""))

    def seek(self, pts: int, position: int | None = None) -> bool:
        """Seek to a keyframe that is stored at or before `pts`; False when that is not possible.

        With a position, in bytes, seek there: the only way in a stream without an index.
        """
        if self._is_read_forward:
            return False
        depth = self.codec.reorder_depth
        try:
            if position is None:
                self._container.seek(pts, stream=self.stream, backward=True)
            else:
                self._container.seek(position, unsupported_byte_offset=True)
        except av.error.FFmpegError:
            return False
        # A flush makes H.264 estimate its reorder depth again, and drop frames meanwhile.
        with contextlib.suppress(ValueError, AttributeError):
            self.codec.reorder_depth = max(depth, self.codec.reorder_depth)
        self._begin_line()
        return True

    @staticmethod
    def place_of(packet: Any) -> int:
        """Return the byte position of a packet in the file, `NO_PLACE` when unknown."""
        pos = packet.pos
        return pos if pos is not None and 0 <= pos < _MAX_PLACE else NO_PLACE

    def is_shown(self, packet: Any) -> bool:
        """Return whether a packet is a separate, visible frame.

        An edit list's lead-in, a hidden VP8 frame and the second field of a frame are not.
        """
        if packet.is_discard or isinstance(packet.opaque, _SecondField):
            return False
        if self.codec.name in {"vp8", "libvpx"}:
            return bool(memoryview(packet)[0] & _VISIBLE_VP8)
        return True

    def _choose(self, *, size_complaint: bool) -> None:
        streams = self._container.streams
        number = self._number
        videos = [
            s for s in streams.video if not s.disposition & av.stream.Disposition.attached_pic
        ]
        if not videos:
            _no_video(has_sound=bool(streams.audio), truncated=self.truncated)
        if number is not None:
            videos = [s for s in videos if s.index == number]
            if not videos:
                raise SourceUnsupportedError(f"stream {number} of the file is not a video stream")
        known = [s for s in videos if s.codec_context and s.codec_context.name in CODECS]
        if not known:
            raise SourceUnsupportedError("the video's codec is not supported")
        self.stream = max(known, key=_preference)
        self._number = self.stream.index  # the same stream when the container is reopened
        self.codec = self.stream.codec_context
        pixels = self.codec.width * self.codec.height
        if pixels > self._max_pixels or (pixels == 0 and size_complaint):
            # libav itself refuses more than 2**28 pixels, and reports no size.
            size = f"{self.codec.width}x{self.codec.height}" if pixels else "larger than any codec"
            raise SourceTooLargeError(
                f"the video is {size}; the limit is {self._max_pixels} pixels"
            )
        self.codec.options = {"max_pixels": str(self._max_pixels)}
        self.codec.thread_count = 1 if pixels <= _MANY_PIXELS else _THREADS_FOR_MANY_PIXELS
        self.codec.copy_opaque = True
        for other in streams:
            if other.index != self.stream.index:
                other.discard = av.stream.Discard.all
        self._begin_line()

    def read_at(self, position: int, length: int) -> bytes:
        """Read up to `length` bytes of the file at `position`; fewer only at the end."""
        self._file.seek(position)
        parts = []
        while length > 0 and (part := self._file.read(length)):
            parts.append(part)
            length -= len(part)
        return b"".join(parts)


def _preference(stream: Any) -> tuple[bool, int]:
    """Sort key in the order of players: the default stream; of several or none the largest."""
    codec = stream.codec_context
    return bool(stream.disposition & av.stream.Disposition.default), codec.width * codec.height


def _refuse_to_open(_url: str, _flags: int, _options: dict[str, str]) -> NoReturn:
    raise PermissionError("a video may not open other files")


def _no_video(*, has_sound: bool, truncated: bool) -> NoReturn:
    if has_sound:
        raise SourceNotVideoError("the source has sound only, no video")
    if truncated:
        raise SourceTruncatedError("the file ends before its first frame")
    raise SourceEmptyError("the source has no video frames")
