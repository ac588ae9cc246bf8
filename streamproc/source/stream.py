"""One container, opened the guarded way: forced format, one video stream, listed codecs only.

Runs in the decoder child. Everything here is synchronous libav through PyAV.
"""

import contextlib
import re
from collections.abc import Callable, Iterator
from fractions import Fraction
from functools import cache
from itertools import islice
from typing import Any, Final, NoReturn, Protocol

import av
import av.error
import av.logging

from streamproc.contract.bounds import MAX_TIME_S
from streamproc.source import boxes, h264, sniff
from streamproc.source.errors import (
    SourceEmptyError,
    SourceNotVideoError,
    SourceTooLargeError,
    SourceTruncatedError,
    SourceUnsupportedError,
)
from streamproc.source.timeline import TimeLine
from streamproc.source.types import NO_PLACE

_IO_BUFFER_BYTES: Final = 128 * 1024
_MAX_BROKEN_READS: Final = 64
_MAX_STREAMS: Final = 128
_PROBE_BYTES: Final = 5_000_000
"""How much of a file is read to find its streams, at most: libav's own default."""
_BROKEN_READ: Final = (
    av.error.InvalidDataError,
    av.error.UndefinedError,
    av.error.BlockingIOError,  # EAGAIN: a damaged transport stream gave nothing this time
)
_MANY_PIXELS: Final = 1920 * 1088
_THREADS_FOR_MANY_PIXELS: Final = 3
_FALLBACK_RATE: Final = Fraction(25)
_VISIBLE_VP8: Final = 0x10
_INDEXED: Final = ("mov", "avi")
_BARE: Final = ("h264", "hevc", "mpegvideo", "mjpeg")
"""No container at all."""
_TOLD: Final = re.compile(r"(\d{1,4}):(\d\d):(\d\d(?:\.\d{1,9})?)")
_ORDER_PACKETS: Final = 64
_MAX_PLACE: Final = 2**53
_JOINED: Final = ("mpegts", "mpeg")
"""Their timestamps mean nothing over a cut."""
_CODECS: Final = frozenset(
    # A string of names reads better than sixty lines.
    [
        "h264",
        "hevc",
        "av1",
        "libdav1d",
        "vp8",
        "vp9",
        "mpeg1video",
        "mpeg2video",
        "mpeg4",
        "msmpeg4",
        "msmpeg4v1",
        "msmpeg4v2",
        "msmpeg4v3",
        "h263",
        "h263p",
        "flv",
        "wmv1",
        "wmv2",
        "wmv3",
        "vc1",
        "theora",
        "mjpeg",
        "prores",
        "dnxhd",
        "ffv1",
        "rawvideo",
        "huffyuv",
        "ffvhuff",
        "utvideo",
        "svq1",
        "svq3",
        "cinepak",
        "dvvideo",
        "qtrle",
        "png",
        "gif",
        "apng",
        "vp6",
        "vp6f",
        "vp6a",
        "v210",
        "cfhd",
        "libvpx",
        "libvpx-vp9",
        "wrapped_avframe",
    ]
)


def open_options(name: str) -> dict[str, str]:
    """Return what libav may use on a file: one demuxer, the listed decoders, no protocol at all.

    Sound and subtitles are not decoded to learn of them: a container says enough.
    """
    return {
        "format_whitelist": name,
        "codec_whitelist": ",".join(sorted(_CODECS)),
        "protocol_whitelist": "none",
        "max_streams": str(_MAX_STREAMS),
        "probesize": str(_PROBE_BYTES),
    }


class RandomAccess(Protocol):
    """A binary file as libav wants it; `size_bytes` None while unknown."""

    size_bytes: int | None

    def read(self, n_bytes: int) -> bytes: ...
    def seek(self, offset: int, whence: int = 0) -> int: ...
    def tell(self) -> int: ...


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
        read_at = cache(self._read_at)  # both walks over a file's boxes read the same headers
        self.format = sniff.container_format(read_at(0, sniff.SNIFF_BYTES), read_at)
        size = file.size_bytes
        self.truncated = size is not None and sniff.is_truncated(self.format, read_at, size)
        """Whether the file is shorter than its own headers say; after opening, than its index."""
        if self.format == "mov":
            self._check_boxes(read_at)
        self._container: Any = None
        self.stream: Any = None
        self.codec: Any = None
        self._line: TimeLine
        self._fields: h264.Fields | None
        self.has_fields = False  # whether some frame has come as two packets
        self.counts_only = False
        """Whether times are in decode order: the n-th frame has the n-th of them."""
        self.rewind()
        self.truncated = self.truncated and not self._has_every_sample()
        self._look_at_order()

    def _check_boxes(self, read_at: sniff.ReadAt) -> None:
        try:
            boxes.check(read_at, self._file.size_bytes)
        except SourceTooLargeError as exc:
            if self.truncated:
                raise SourceTruncatedError("the file ends before its headers do") from exc
            raise

    def rewind(self) -> None:
        """(Re)open the container: the state is that of a file nobody has read from."""
        self.close()
        self._file.seek(0)
        av.logging.set_level(av.logging.ERROR)
        try:
            with av.logging.Capture() as log:
                self._container = av.open(
                    self._file,
                    "r",
                    format=self.format,
                    options={"threads": "1"},
                    container_options=open_options(self.format),
                    buffer_size=_IO_BUFFER_BYTES,
                    metadata_errors="ignore",  # a title in Latin-1 is nobody's business here
                    io_open=_refuse_to_open,
                )
        except av.error.FFmpegError as exc:
            if self.truncated:
                raise SourceTruncatedError("the file ends before its headers do") from exc
            if any("max_streams" in line for _, _, line in log):
                raise SourceTooLargeError(f"the file has more than {_MAX_STREAMS} tracks") from exc
            raise SourceUnsupportedError("the file cannot be read as a video") from exc
        finally:
            av.logging.set_level(None)
        self._choose(size_complaint=any("Picture size" in line for _, _, line in log))

    def close(self) -> None:
        """Close the container, not the file. Twice is fine."""
        if self._container is not None:
            self._container.close()
            self._container = None

    @property
    def time_base(self) -> Fraction:
        return Fraction(self.stream.time_base or Fraction(1, 1000))

    @property
    def rate(self) -> Fraction:
        """Average frame rate; 25 when the container gives no hint at all."""
        rates = (self.stream.average_rate, self.stream.guessed_rate)
        if self.format in _BARE:
            rates = rates[::-1]  # the average is libav's default, the guess is the codec's own
        rate = rates[0] or rates[1]
        return Fraction(rate) if rate else _FALLBACK_RATE

    @property
    def duration_s(self) -> float | None:
        """Return about how long the video is, from its first frame on."""
        if self.stream.duration is not None:
            return float(self.stream.duration * self.time_base)
        end_s = _told_s(self.stream.metadata.get("DURATION", ""))
        if end_s is None:
            if self._container.duration is None:
                return None
            end_s = self._container.duration / 1e6
        if self.format != "matroska":
            return end_s
        start = self._container.start_time  # its durations count from 0, wherever the video begins
        return end_s - start / 1e6 if start and 0 < start / 1e6 < end_s else end_s

    @property
    def is_indexed(self) -> bool:
        """The container lists every packet from the first on, in decode order."""
        n_entries = len(self.stream.index_entries)
        if self.format == "avi":
            return n_entries > 1
        return self.format in _INDEXED and 0 < self.stream.frames <= n_entries

    @property
    def total_frames(self) -> int | None:
        """Count the index where there is one (header counts lie), else estimate."""
        if self.is_indexed:
            n_shown = sum(not entry.is_discard for entry in self.stream.index_entries)
            return (n_shown + 1) // 2 if self.has_fields else n_shown
        duration_s = self.duration_s
        if duration_s is None or not 0 < duration_s <= MAX_TIME_S:
            return None
        return max(1, round(duration_s * self.rate))

    @property
    def total_is_exact(self) -> bool:
        """Whether `total_frames` was counted, not estimated."""
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
                return

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
        if self.format not in _INDEXED or size is None or not self.is_indexed:
            return False
        return all(entry.pos + entry.size <= size for entry in self.stream.index_entries)

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
            and fields.is_second(bytes(memoryview(packet)[: h264.HEAD_BYTES]))
        )
        self.has_fields = self.has_fields or is_second
        packet.opaque = is_second
        if not packet.is_discard:
            packet.pts, packet.dts = self._line.enter(
                packet.pts, packet.dts, reorders=self.codec.reorder_depth > 0
            )

    def _begin_line(self) -> None:
        frame = round(1 / (self.rate * self.time_base))
        self._line = TimeLine(self.time_base, frame, has_cuts=self.format in _JOINED)
        self._fields = None
        if self.codec.name == "h264":
            self._fields = h264.Fields(bytes(self.codec.extradata or b""))

    def seek(self, pts: int) -> bool:
        """Go to a keyframe that is stored at or before `pts`; False when that is not possible."""
        depth = self.codec.reorder_depth
        try:
            self._container.seek(pts, stream=self.stream, backward=True)
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
        if packet.is_discard or packet.opaque is True:
            return False
        if self.codec.name in {"vp8", "libvpx"}:
            return bool(memoryview(packet)[0] & _VISIBLE_VP8)
        return True

    def _choose(self, *, size_complaint: bool) -> None:
        streams = self._container.streams
        videos = [
            s for s in streams.video if not s.disposition & av.stream.Disposition.attached_pic
        ]
        if not videos:
            _no_video(has_sound=bool(streams.audio), truncated=self.truncated)
        if self._number is not None:
            videos = [s for s in videos if s.index == self._number]
            if not videos:
                raise SourceUnsupportedError(f"stream {self._number} of the file is no video")
        known = [s for s in videos if s.codec_context and s.codec_context.name in _CODECS]
        if not known:
            raise SourceUnsupportedError("the video's codec is not supported")
        self.stream = max(known, key=_preference)
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

    def _read_at(self, position: int, length: int) -> bytes:
        self._file.seek(position)
        parts = []
        while length > 0 and (part := self._file.read(length)):
            parts.append(part)
            length -= len(part)
        return b"".join(parts)


def _told_s(text: str) -> float | None:
    """Return a Matroska tag's duration, `HH:MM:SS.nnnnnnnnn`, in seconds; None for another text."""
    match = _TOLD.fullmatch(text)
    if match is None:
        return None
    hours, minutes, seconds = match.groups()
    return int(hours) * 3600 + int(minutes) * 60 + float(seconds)


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
