"""FLV: H.264 and H.265 of RTMP messages and of FLV over HTTP.

Adobe Flash Video File Format 10.1, annex E; H.265 by Enhanced RTMP v2 (`hvc1`), and by the codec
number 12 that some servers use. Times are milliseconds and wrap after 49 days.
"""

from collections.abc import Iterator
from typing import Final

from streamproc.source.errors import (
    SourceEncryptedError,
    SourceNotVideoError,
    SourceProtocolError,
    SourceUnsupportedError,
)
from streamproc.source.live.containers.coded_pictures import CodedPictures, prefixed_units
from streamproc.source.live.containers.decoder_configuration import (
    Configuration,
    configuration,
)
from streamproc.source.live.containers.demuxer import MAX_PICTURE_BYTES
from streamproc.source.live.rtp.depacketizer import AccessUnit
from streamproc.source.live.rtp.packet import Unwrapper
from streamproc.source.live.rtp.picture_size import Size

CLOCK_HZ: Final = 1000
MAX_WAIT_BYTES: Final = 16 << 20
"""Bytes without any video, after which there is none."""
_HEAD: Final = 9
_TAG_HEAD: Final = 11
_PREVIOUS: Final = 4
_VIDEO: Final = 9
_H264_NUMBER: Final = 7
_H265_NUMBER: Final = 12
_FOURCC: Final = {b"avc1": "h264", b"hvc1": "hevc"}
_START, _FRAMES, _FRAMES_WITHOUT_OFFSET = 0, 1, 3
_INFO_FRAME: Final = 5
_CLOCK: Final = 1 << 32


class FlvVideo:
    """The bodies of the video tags, or messages, of one stream."""

    def __init__(self, host: str) -> None:
        """`host` is named in errors."""
        self._host = host
        self._pictures: CodedPictures | None = None
        self._configuration: Configuration | None = None
        self._unwrapped = Unwrapper(_CLOCK)

    @property
    def codec(self) -> str | None:
        return None if self._pictures is None else self._pictures.codec

    @property
    def size(self) -> Size | None:
        return None if self._pictures is None else self._pictures.size

    def add(self, body: bytes, time_ms: int, now_s: float) -> AccessUnit | None:
        """Return the picture of a video tag, decoded at `time_ms`; None for other tags.

        Raises `SourceUnsupportedError` for another codec, `SourceProtocolError` if it is malformed.
        """
        decoded_ms = self._unwrapped(time_ms % _CLOCK)
        try:
            return self._add(body, decoded_ms, now_s)
        except (ValueError, IndexError) as exc:
            raise SourceProtocolError(f"{self._host} sent a malformed picture") from exc

    def _add(self, body: bytes, decoded_ms: int, now_s: float) -> AccessUnit | None:
        head = body[0]
        if head & 0x80:
            kind, codec, at = head & 15, _FOURCC.get(body[1:5]), 5
            frame_kind = head >> 4 & 7
        else:
            number, frame_kind = head & 15, head >> 4
            codec = {_H264_NUMBER: "h264", _H265_NUMBER: "hevc"}.get(number)
            kind, at = body[1], 2
        if frame_kind == _INFO_FRAME:
            return None
        if codec is None:
            raise SourceUnsupportedError(f"{self._host} sends a codec other than H.264 and H.265")
        if kind == _START:
            self._configure(codec, body[at if head & 0x80 else at + 3 :])
            return None
        has_offset = not head & 0x80 or kind == _FRAMES
        if kind not in {_FRAMES, _FRAMES_WITHOUT_OFFSET} or (
            kind == _FRAMES_WITHOUT_OFFSET and not head & 0x80
        ):
            return None
        offset_ms = int.from_bytes(body[at : at + 3], "big", signed=True) if has_offset else 0
        return self._picture(body[at + 3 * has_offset :], decoded_ms + offset_ms, now_s)

    def _configure(self, codec: str, data: bytes) -> None:
        found = configuration(codec, data)
        if found != self._configuration or codec != self.codec:
            self._configuration = found
            self._pictures = CodedPictures(codec, found.parameter_sets)

    def _picture(self, data: bytes, time_ms: int, now_s: float) -> AccessUnit | None:
        if self._pictures is None or self._configuration is None:
            return None  # before the configuration, nothing can be decoded
        units = prefixed_units(data, self._configuration.prefix_bytes)
        picture = self._pictures.picture(units)
        if picture is None:
            return None
        return AccessUnit(
            picture.data,
            time_ms,
            picture.is_key,
            picture.is_damaged,
            follows_loss=False,
            arrival_s=now_s,
        )


class FlvStream:
    """A `Demuxer` for FLV over HTTP."""

    clock_hz = CLOCK_HZ
    n_lost = 0

    def __init__(self, host: str) -> None:
        self._host = host
        self._video = FlvVideo(host)
        self._data = bytearray()
        self._has_head = False
        self._n_without_video = 0

    @property
    def codec(self) -> str | None:
        return self._video.codec

    @property
    def size(self) -> Size | None:
        return self._video.size

    def push(self, data: bytes, now_s: float) -> Iterator[AccessUnit]:
        self._data += data
        if not self._has_head and not self._skip_head():
            return
        while len(self._data) >= _TAG_HEAD:
            length = int.from_bytes(self._data[1:4], "big")
            if length > MAX_PICTURE_BYTES:
                raise SourceProtocolError(f"{self._host} sent a tag of over 8 MiB")
            end = _TAG_HEAD + length
            if len(self._data) < end + _PREVIOUS:
                return
            if int.from_bytes(self._data[end : end + _PREVIOUS], "big") not in {end, 0}:
                raise SourceProtocolError(f"{self._host} sent no FLV tag where one must be")
            unit = self._tag(bytes(self._data[:end]), now_s)
            del self._data[: end + _PREVIOUS]
            if unit is not None:
                yield unit

    def end(self, _now_s: float) -> Iterator[AccessUnit]:
        """Yield nothing: a tag has a length."""
        yield from ()

    def _skip_head(self) -> bool:
        if len(self._data) < _HEAD + _PREVIOUS:
            return False
        head_bytes = int.from_bytes(self._data[5:9], "big")
        if self._data[:3] != b"FLV" or head_bytes != _HEAD:
            raise SourceProtocolError(f"{self._host} sends no FLV")
        del self._data[: _HEAD + _PREVIOUS]
        self._has_head = True
        return True

    def _tag(self, tag: bytes, now_s: float) -> AccessUnit | None:
        body = tag[_TAG_HEAD:]
        if tag[0] & 0x20:
            raise SourceEncryptedError(f"{self._host} sends encrypted video")
        if tag[0] & 31 != _VIDEO or not body:
            self._n_without_video += len(tag)
            if self._n_without_video > MAX_WAIT_BYTES and self._video.codec is None:
                raise SourceNotVideoError(f"{self._host} sends no video")
            return None
        time_ms = int.from_bytes(tag[4:7], "big") | tag[7] << 24
        return self._video.add(body, time_ms, now_s)
