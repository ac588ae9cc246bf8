"""Fragmented MP4 (CMAF): the first video track of H.264 or H.265 (ISO/IEC 14496-12, 8.8).

The initialisation segment is pushed first, then whole media segments; a new initialisation may
follow. Boxes are read one after the other, and only `moov`, `moof` and `mdat` are kept.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final, NamedTuple

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
from streamproc.source.live.rtp.picture_size import Size

MAX_HEADER_BYTES: Final = 4 << 20
MAX_FRAGMENT_BYTES: Final = 64 << 20
MAX_SAMPLES: Final = 100_000
MAX_CLOCK_HZ: Final = 1 << 31
_KEPT: Final = frozenset({b"moov", b"moof", b"mdat"})
_CODECS: Final = {b"avc1": "h264", b"avc3": "h264", b"hvc1": "hevc", b"hev1": "hevc"}
_CONFIGURATIONS: Final = {"h264": b"avcC", "hevc": b"hvcC"}
_VISUAL_ENTRY: Final = 78
_BASE_OFFSET, _DESCRIPTION, _DURATION, _SIZE, _FLAGS = 1, 2, 8, 16, 32
_DATA_OFFSET, _FIRST_FLAGS = 1, 4
_RUN_DURATION, _RUN_SIZE, _RUN_FLAGS, _RUN_COMPOSITION = 0x100, 0x200, 0x400, 0x800


class _Sample(NamedTuple):
    start: int
    """From the start of `moof`."""
    size: int
    time: int


@dataclass(slots=True)
class _Track:
    number: int = 0
    clock_hz: int = 0
    codec: str = ""
    configuration: Configuration | None = None
    is_video: bool = False
    is_encrypted: bool = False
    default_duration: int = 0
    default_size: int = 0


@dataclass(slots=True)
class _Fragment:
    """A `moof`, and the bytes between its start and the media data."""

    samples: list[_Sample] = field(default_factory=list)
    n_bytes: int = 0


class FragmentedMp4:
    """A `Demuxer`; `clock_hz` is that of the track, known with the first initialisation."""

    n_lost = 0

    def __init__(self, host: str) -> None:
        """`host` is named in errors."""
        self._host = host
        self._data = bytearray()
        self._skip = self._n_without_video = 0
        self._track: _Track | None = None
        self._pictures: CodedPictures | None = None
        self._fragment: _Fragment | None = None
        self.clock_hz = 90_000

    @property
    def codec(self) -> str | None:
        return None if self._pictures is None else self._pictures.codec

    @property
    def size(self) -> Size | None:
        return None if self._pictures is None else self._pictures.size

    def push(self, data: bytes, now_s: float) -> Iterator[AccessUnit]:
        """Yield the pictures that these bytes complete. Raises a `SourceError`."""
        self._data += data
        try:
            yield from self._boxes(now_s)
        except (ValueError, IndexError) as exc:
            raise SourceProtocolError(f"{self._host} sent a malformed fragment of MP4") from exc

    def end(self, _now_s: float) -> Iterator[AccessUnit]:
        """Yield nothing: a box has a length."""
        yield from ()

    def restart(self) -> None:
        """Continue with bytes of another place."""
        self._data.clear()
        self._skip, self._fragment = 0, None

    def _boxes(self, now_s: float) -> Iterator[AccessUnit]:
        while True:
            if self._skip:
                n_bytes = min(self._skip, len(self._data))
                del self._data[:n_bytes]
                self._skip -= n_bytes
            if self._skip or len(self._data) < 8:
                return
            kind, head, length = _header(bytes(self._data[:16]))
            if not length:
                return
            limit = MAX_HEADER_BYTES if kind in {b"moov", b"moof"} else MAX_FRAGMENT_BYTES
            if length > limit:
                raise SourceProtocolError(f"{self._host} sent a box of over {limit} bytes")
            if kind not in _KEPT:
                self._pass(length)
                continue
            if len(self._data) < length:
                return
            body = bytes(self._data[head:length])
            del self._data[:length]
            yield from self._box(kind, body, length, now_s)

    def _pass(self, length: int) -> None:
        self._skip = length
        self._n_without_video += length
        if self._track is None and self._n_without_video > MAX_FRAGMENT_BYTES:
            raise SourceNotVideoError(f"{self._host} sends no header of MP4")
        if self._fragment is not None:
            self._fragment.n_bytes += length

    def _box(self, kind: bytes, body: bytes, length: int, now_s: float) -> Iterator[AccessUnit]:
        if kind == b"moov":
            self._take_movie(body)
        elif kind == b"moof":
            if self._track is None:
                raise SourceProtocolError(f"{self._host} sent a fragment before its header")
            self._fragment = _Fragment([*_samples(body, self._track)], length)
        elif self._fragment is not None:
            before = self._fragment.n_bytes + length - len(body)
            for sample in self._fragment.samples:
                start = sample.start - before
                if 0 <= start < len(body):
                    yield from self._picture(body, start, sample, now_s)
            self._fragment.n_bytes += length

    def _picture(
        self, body: bytes, start: int, sample: _Sample, now_s: float
    ) -> Iterator[AccessUnit]:
        track, pictures = self._track, self._pictures
        if track is None or track.configuration is None or pictures is None:
            return
        if sample.size > MAX_PICTURE_BYTES or start + sample.size > len(body):
            raise ValueError("a sample that goes beyond its data")
        data = body[start : start + sample.size]
        picture = pictures.picture(prefixed_units(data, track.configuration.prefix_bytes))
        if picture is not None:
            yield AccessUnit(
                picture.data,
                sample.time,
                picture.is_key,
                picture.is_damaged,
                follows_loss=False,
                arrival_s=now_s,
            )

    def _take_movie(self, body: bytes) -> None:
        tracks = _tracks(body)
        videos = [track for track in tracks if track.is_video]
        if not videos:
            raise SourceNotVideoError(f"{self._host} sends no video")
        track = videos[0]
        if track.is_encrypted:
            raise SourceEncryptedError(f"{self._host} sends encrypted video")
        if track.configuration is None:
            raise SourceUnsupportedError(f"{self._host} sends a codec other than H.264 and H.265")
        if not 0 < track.clock_hz < MAX_CLOCK_HZ:
            raise ValueError("a track without a clock")
        self._track, self._fragment, self.clock_hz = track, None, track.clock_hz
        self._pictures = CodedPictures(track.codec, track.configuration.parameter_sets)


def _header(data: bytes) -> tuple[bytes, int, int]:
    """Return (kind, bytes of the header, bytes of the box); 0 bytes while the header is cut."""
    length, head = int.from_bytes(data[:4], "big"), 8
    if length == 1:
        if len(data) < 16:
            return data[4:8], 16, 0
        length, head = int.from_bytes(data[8:16], "big"), 16
    if length < head:
        raise ValueError("a box that is shorter than its header")
    return data[4:8], head, length


def _inner(body: bytes, start: int = 0) -> Iterator[tuple[bytes, bytes]]:
    """Yield (kind, body) of the boxes in a box. Raises `ValueError` when one goes beyond it."""
    at = start
    while at + 8 <= len(body):
        kind, head, length = _header(body[at : at + 16])
        if not length or at + length > len(body):
            raise ValueError("a box that goes beyond the one around it")
        yield kind, body[at + head : at + length]
        at += length


def _tracks(movie: bytes) -> list[_Track]:
    tracks: list[_Track] = []
    for kind, body in _inner(movie):
        if kind == b"trak":
            tracks.append(_parsed(body, _Track()))
        elif kind == b"mvex":
            for inner_kind, inner in _inner(body):
                if inner_kind == b"trex":
                    number, _, duration, size = (_number(inner, at) for at in (4, 8, 12, 16))
                    for track in tracks:
                        if track.number == number:
                            track.default_duration, track.default_size = duration, size
    return tracks


def _parsed(body: bytes, track: _Track) -> _Track:
    for kind, inner in _inner(body):
        if kind in {b"mdia", b"minf", b"stbl"}:
            _parsed(inner, track)
        elif kind == b"tkhd":
            track.number = _number(inner, 20 if inner[0] else 12)
        elif kind == b"mdhd":
            track.clock_hz = _number(inner, 20 if inner[0] else 12)
        elif kind == b"hdlr":
            track.is_video = inner[8:12] == b"vide"
        elif kind == b"stsd" and track.is_video:
            _describe(inner, track)
    return track


def _describe(body: bytes, track: _Track) -> None:
    for kind, entry in _inner(body, 8):
        track.is_encrypted |= kind == b"encv"
        track.codec = _CODECS.get(kind, track.codec)
        if kind in _CODECS:
            for inner_kind, inner in _inner(entry, _VISUAL_ENTRY):
                if inner_kind == _CONFIGURATIONS[track.codec]:
                    track.configuration = configuration(track.codec, inner)


def _samples(fragment: bytes, track: _Track) -> Iterator[_Sample]:
    n_samples = 0
    for kind, body in _inner(fragment):
        if kind != b"traf":
            continue
        for sample in _track_samples(body, track):
            n_samples += 1
            if n_samples > MAX_SAMPLES:
                raise ValueError("a fragment of too many samples")
            yield sample


def _track_samples(body: bytes, track: _Track) -> Iterator[_Sample]:
    duration, size, base, time, at = track.default_duration, track.default_size, 0, 0, 0
    for kind, inner in _inner(body):
        if kind == b"tfhd":
            if _number(inner, 4) != track.number:
                return
            fields = _Fields(inner, 8)
            flags = _number(inner, 0) & 0xFFFFFF
            if flags & _BASE_OFFSET:
                raise ValueError("offsets from the start of the file")
            fields.take(flags & _DESCRIPTION)
            duration = fields.take(flags & _DURATION, duration)
            size = fields.take(flags & _SIZE, size)
        elif kind == b"tfdt":
            time = int.from_bytes(inner[4 : 12 if inner[0] else 8], "big")
        elif kind == b"trun":
            flags, count = _number(inner, 0) & 0xFFFFFF, _number(inner, 4)
            fields = _Fields(inner, 8)
            at = base + fields.take(flags & _DATA_OFFSET, at, signed=True)
            fields.take(flags & _FIRST_FLAGS)
            if count > MAX_SAMPLES:
                raise ValueError("a run of too many samples")
            for _ in range(count):
                ticks = fields.take(flags & _RUN_DURATION, duration)
                n_bytes = fields.take(flags & _RUN_SIZE, size)
                fields.take(flags & _RUN_FLAGS)
                offset = fields.take(flags & _RUN_COMPOSITION, 0, signed=True)
                yield _Sample(at, n_bytes, time + offset)
                time, at = time + ticks, at + n_bytes


class _Fields:
    """Optional fields of four bytes, one after the other."""

    def __init__(self, data: bytes, at: int) -> None:
        self._data, self._at = data, at

    def take(self, is_present: int, default: int = 0, *, signed: bool = False) -> int:
        if not is_present:
            return default
        taken = self._data[self._at : self._at + 4]
        if len(taken) < 4:
            raise ValueError("a box that ends early")
        self._at += 4
        return int.from_bytes(taken, "big", signed=signed)


def _number(data: bytes, at: int) -> int:
    taken = data[at : at + 4]
    if len(taken) < 4:
        raise ValueError("a box that ends early")
    return int.from_bytes(taken, "big")
