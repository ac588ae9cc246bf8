"""One container, opened the guarded way: forced format, one video stream, listed codecs only.

Runs in the decoder child. Everything here is synchronous libav through PyAV.
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
    av.error.BlockingIOError,  # EAGAIN: a damaged transport stream gave nothing this time
)
_MANY_PIXELS: Final = 1920 * 1088
_THREADS_FOR_MANY_PIXELS: Final = 3
_VISIBLE_VP8: Final = 0x10
_ORDER_PACKETS: Final = 64
_MAX_PLACE: Final = 2**53
_JOINED: Final = ("mpegts", "mpeg")
"""Their timestamps mean nothing over a cut."""
_READ_FORWARD: Final = ("mpegts", "mpeg", "matroska", "flv")
"""Read from the first byte to the last, unless somebody asks for more: an index, a duration."""


class _SecondField:
    """Marks a packet. PyAV tells marks apart by their identity, so each packet has its own."""


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
        """`number`: the stream to read, of all in the file; None: the default or largest video.

        `on_packet` is called before each packet that `packets()` yields.
        """
        self._number = number
        self._file = file
        self._on_packet = on_packet
        self._max_pixels = max_pixels
        read_at = cache(self.read_at)  # both walks over a file's boxes read the same headers
        self.format = container_probe.container_format(
            read_at(0, container_probe.SNIFF_BYTES), read_at
        )
        self.movie = (
            mp4_fragments.movie_of_fragments(read_at)
            if self.format == "mov" and file.is_far
            else None
        )
        """The `moov` of a fragmented file of which only a part is read."""
        self._row: BoxRow | None = None
        size = file.size_bytes
        self.truncated = (
            size is not None
            and self.movie is None
            and container_probe.is_truncated(self.format, read_at, size)
        )
        """Whether the file is shorter than its own headers say; after opening, than its index."""
        if self.format == "mov":
            self._check_boxes(read_at)
        self._container: Any = None
        self.stream: Any = None
        self.codec: Any = None
        self._line: TimeLine
        self._fields: h264_fields.Fields | None
        self.has_fields = False  # whether some frame has come as two packets
        self.counts_only = False
        """Whether times are in decode order: the n-th frame has the n-th of them."""
        self._told_s: float | None = None
        self.rewind()
        self._told_s = self._listed_s()
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
        """(Re)open the container: the state is that of a file nobody has read from.

        With a bridge, of a file that has nothing in its place.
        """
        self.close()
        options = open_options(self.format)
        if self.movie is not None:
            options["fflags"] = "+ignidx"  # fragments are read when it is their turn
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
                    metadata_errors="ignore",  # a title in Latin-1 is nobody's business here
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
        """Close the container, not the file. Twice is fine."""
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
        """How long the video is, as far as the container says so."""
        return Extent(
            self._container,
            self.stream,
            self.format,
            is_read_in_part=self.movie is not None,
            told_s=self._told_s,
        )

    @property
    def rate(self) -> Fraction:
        """Average frame rate; 25 when the container gives no hint at all."""
        return self.extent.rate

    @property
    def is_indexed(self) -> bool:
        """The container lists every packet from the first on, in decode order."""
        return self.extent.is_indexed

    @property
    def total_is_exact(self) -> bool:
        """Whether the number of frames is counted, not estimated."""
        return self.is_indexed and not self.has_fields

    def packets(self) -> Iterator[Any]:
        """Packets of the video stream in decode order, from the current position.

        Broken stretches are skipped, and packets of streams that begin later in the file: PyAV does
        not know those. An error of the file itself is not caught.
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
            except IndexError:  # PyAV's, of the list of the streams that it knew at the beginning
                continue
            else:
                break
        if self._row is not None and self._row.goes_beyond(self._file.size_bytes):
            self.truncated = True

    @property
    def is_orderly(self) -> bool:
        """Whether the packets' times have told the order in which they are shown, so far."""
        return self._line.is_orderly and not self.counts_only

    @property
    def may_repeat_times(self) -> bool:
        """Whether a time may come again later in the file: recordings may be joined."""
        return self.format in _JOINED

    @property
    def needs_its_beginning(self) -> bool:
        """Whether what the first packet alone tells is needed to decode any other: a palette."""
        return bool(self.codec.pix_fmt == "pal8")

    def _has_every_sample(self) -> bool:
        """Whether the index names samples, and all lie within the file: lengths may be wrong."""
        size = self._file.size_bytes
        if self.format not in INDEXED or size is None or not self.is_indexed:
            return False
        return all(entry.pos + entry.size <= size for entry in self.stream.index_entries)

    def _listed_s(self) -> float | None:
        """Return how long a file of fragments is that is not read to its end."""
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
        """AVI counts its chunks as they are decoded; some of its codecs know better."""
        if self.format == "avi" and self.codec.reorder_depth > 0:
            self.counts_only = self._is_in_decode_order()
            self.rewind()

    def _is_in_decode_order(self) -> bool:
        """Whether times only ever grow although frames are reordered."""
        last: int | None = None
        for packet in islice(self.packets(), _ORDER_PACKETS):
            if packet.pts is None:
                continue
            if last is not None and packet.pts < last:
                return False
            last = packet.pts
        return True

    def _enter(self, packet: Any) -> None:
        """Put a packet's times on the line; its place stays what it is in the file."""
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
        """Go to a keyframe that is stored at or before `pts`; False when that is not possible.

        With a position, in bytes, go there: a stream without a table of contents has no other way.
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
        # Flushing makes H.264 guess its reorder depth anew, and drop frames while it learns.
        with contextlib.suppress(ValueError, AttributeError):
            self.codec.reorder_depth = max(depth, self.codec.reorder_depth)
        self._begin_line()
        return True

    @staticmethod
    def place_of(packet: Any) -> int:
        """Return where a packet stands in the file, `NO_PLACE` when that is not known."""
        pos = packet.pos
        return pos if pos is not None and 0 <= pos < _MAX_PLACE else NO_PLACE

    def is_shown(self, packet: Any) -> bool:
        """Tell whether a packet is a frame of its own.

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
                raise SourceUnsupportedError(f"stream {number} of the file is no video")
        known = [s for s in videos if s.codec_context and s.codec_context.name in CODECS]
        if not known:
            raise SourceUnsupportedError("the video's codec is not supported")
        self.stream = max(known, key=_preference)
        self._number = self.stream.index  # the same when it is opened again
        self.codec = self.stream.codec_context
        pixels = self.codec.width * self.codec.height
        if pixels > self._max_pixels or (pixels == 0 and size_complaint):
            # Beyond 2**28 pixels libav itself refuses, and reports no size.
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
    """Order as players choose: the default stream; of several or none the largest."""
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
