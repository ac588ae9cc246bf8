"""Playlists of HTTP Live Streaming (RFC 8216): variants, or segments with what they need.

URLs are resolved against the playlist's own; only http and https are accepted. Tags that are not
used are ignored, as the RFC demands.
"""

import re
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Final, NamedTuple
from urllib.parse import urljoin

MAX_BYTES: Final = 2 << 20
MAX_LINES: Final = 100_000
MAX_SEGMENTS: Final = 10_000
MAX_VARIANTS: Final = 200
MAX_SEGMENT_BYTES: Final = 64 << 20
MAX_DURATION_S: Final = 3600.0
MAX_NUMBER: Final = 1 << 62
_ATTRIBUTE: Final = re.compile(r'([A-Z0-9-]+)=("[^"]*"|[^",]*)')
_SIZE: Final = re.compile(r"([0-9]{1,5})x([0-9]{1,5})")
_RANGE: Final = re.compile(r"([0-9]{1,18})(?:@([0-9]{1,18}))?")
_HEAD: Final = "#EXTM3U"


class PlaylistError(ValueError):
    """Not a playlist that can be followed; the text shows no URL."""


class Loaded(NamedTuple):
    """A playlist as it came from `host`; `url`: of the last redirect."""

    url: str
    host: str
    data: bytes


class Variant(NamedTuple):
    """`size`: width and height, None if it is not said; `bandwidth` in bits per second."""

    url: str
    bandwidth: int
    size: tuple[int, int] | None
    codecs: str


class ByteRange(NamedTuple):
    start: int
    length: int


class Part(NamedTuple):
    """A resource, or a range of it."""

    url: str
    byte_range: ByteRange | None


class Key(NamedTuple):
    """How segments are encrypted. `iv`: None for the sequence number."""

    method: str
    url: str | None
    iv: bytes | None


class Segment(NamedTuple):
    """`starts_anew`: a discontinuity is before it. `captured_s`: of its first frame, Unix time."""

    part: Part
    sequence: int
    duration_s: float
    starts_anew: bool
    header: Part | None
    key: Key | None
    captured_s: float | None
    is_missing: bool


class Media(NamedTuple):
    """`is_ended`: no segment follows."""

    target_s: float
    segments: tuple[Segment, ...]
    is_ended: bool


class Master(NamedTuple):
    variants: tuple[Variant, ...]


def parse(data: bytes, url: str) -> Media | Master:
    """Return what the playlist at `url` lists. Raises `PlaylistError`."""
    lines = _lines(data)
    if any(line.startswith("#EXT-X-STREAM-INF:") for line in lines):
        return Master(tuple(_variants(lines, url)))
    return _Parser(url).media(lines)


def _lines(data: bytes) -> list[str]:
    if len(data) > MAX_BYTES:
        raise PlaylistError(f"a playlist of over {MAX_BYTES} bytes")
    text = data.removeprefix(b"\xef\xbb\xbf").decode("utf-8", "replace")
    lines = [line.strip() for line in text.split("\n")]
    if len(lines) > MAX_LINES:
        raise PlaylistError(f"a playlist of over {MAX_LINES} lines")
    if lines[0] != _HEAD and not lines[0].startswith(_HEAD + " "):
        raise PlaylistError("not a playlist of HLS")
    return lines


def _variants(lines: list[str], url: str) -> Iterator[Variant]:
    attributes: dict[str, str] | None = None
    n_variants = 0
    for line in lines:
        if line.startswith("#EXT-X-STREAM-INF:"):
            attributes = _attributes(line)
        elif line and not line.startswith("#") and attributes is not None:
            n_variants += 1
            if n_variants > MAX_VARIANTS:
                raise PlaylistError(f"over {MAX_VARIANTS} variants")
            size = _SIZE.fullmatch(attributes.get("RESOLUTION", ""))
            yield Variant(
                _resolved(url, line),
                _integer(attributes.get("BANDWIDTH", "0")),
                None if size is None else (int(size[1]), int(size[2])),
                attributes.get("CODECS", ""),
            )
            attributes = None


class _Parser:
    """The state that tags set for the segments after them."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._target_s: float | None = None
        self._next = 0
        self._duration_s: float | None = None
        self._starts_anew = self._is_missing = False
        self._range: str | None = None
        self._range_ends: dict[str, int] = {}
        self._header: Part | None = None
        self._key: Key | None = None
        self._captured_s: float | None = None

    def media(self, lines: list[str]) -> Media:
        segments: list[Segment] = []
        is_ended = False
        for line in lines[1:]:
            if line.startswith("#EXT"):
                name, _, value = line.partition(":")
                is_ended |= name == "#EXT-X-ENDLIST"
                self._tag(name, value)
            elif line and not line.startswith("#"):
                if len(segments) == MAX_SEGMENTS:
                    raise PlaylistError(f"over {MAX_SEGMENTS} segments")
                segments.append(self._segment(line))
        if self._target_s is None:
            raise PlaylistError("a playlist without a target duration")
        return Media(self._target_s, tuple(segments), is_ended)

    def _tag(self, name: str, value: str) -> None:
        match name:
            case "#EXT-X-TARGETDURATION":
                self._target_s = max(_duration(value), 0.1)
            case "#EXT-X-MEDIA-SEQUENCE":
                self._next = _integer(value)
            case "#EXTINF":
                self._duration_s = _duration(value.partition(",")[0])
            case "#EXT-X-DISCONTINUITY":
                self._starts_anew = True
            case "#EXT-X-GAP":
                self._is_missing = True
            case "#EXT-X-BYTERANGE":
                self._range = value
            case "#EXT-X-MAP":
                self._header = self._map(_attributes(value))
            case "#EXT-X-KEY":
                self._key = self._parsed_key(_attributes(value))
            case "#EXT-X-PROGRAM-DATE-TIME":
                self._captured_s = _time(value)

    def _segment(self, line: str) -> Segment:
        url = _resolved(self._url, line)
        if self._duration_s is None:
            raise PlaylistError("a segment without a duration")
        byte_range = None if self._range is None else self._byte_range(url, self._range)
        segment = Segment(
            Part(url, byte_range),
            self._next,
            self._duration_s,
            self._starts_anew,
            self._header,
            self._key,
            self._captured_s,
            self._is_missing,
        )
        if self._captured_s is not None:
            self._captured_s += self._duration_s
        self._next += 1
        self._duration_s = self._range = None
        self._starts_anew = self._is_missing = False
        return segment

    def _map(self, attributes: dict[str, str]) -> Part:
        if "URI" not in attributes:
            raise PlaylistError("a map without a URI")
        url = _resolved(self._url, attributes["URI"])
        text = attributes.get("BYTERANGE")
        return Part(url, None if text is None else self._byte_range(url, text))

    def _byte_range(self, url: str, text: str) -> ByteRange:
        found = _RANGE.fullmatch(text.strip())
        if found is None:
            raise PlaylistError("an invalid byte range")
        length = int(found[1])
        start = int(found[2]) if found[2] is not None else self._range_ends.get(url, 0)
        if not 0 < length <= MAX_SEGMENT_BYTES:
            raise PlaylistError(f"a byte range of over {MAX_SEGMENT_BYTES} bytes, or of none")
        self._range_ends[url] = start + length
        return ByteRange(start, length)

    def _parsed_key(self, attributes: dict[str, str]) -> Key | None:
        method = attributes.get("METHOD", "")
        if method == "NONE":
            return None
        text = attributes.get("IV", "")
        iv = None
        if text:
            try:
                iv = int(text, 16).to_bytes(16, "big")
            except (ValueError, OverflowError) as exc:
                raise PlaylistError("an invalid IV") from exc
        uri = attributes.get("URI")
        if attributes.get("KEYFORMAT", "identity") != "identity":
            method = f"{method} with a key format of its own"
        return Key(method, None if uri is None else _resolved(self._url, uri), iv)


def _resolved(base: str, reference: str) -> str:
    try:
        url = urljoin(base, reference)
    except ValueError as exc:
        raise PlaylistError("an invalid URI") from exc
    if not url.lower().startswith(("http://", "https://")):
        raise PlaylistError("a URI that is neither http nor https")
    return url


def _attributes(text: str) -> dict[str, str]:
    return {name: value.strip('"') for name, value in _ATTRIBUTE.findall(text)}


def _integer(text: str) -> int:
    try:
        value = int(text[:20])
    except ValueError as exc:
        raise PlaylistError("an invalid number") from exc
    if not 0 <= value < MAX_NUMBER:
        raise PlaylistError("an invalid number")
    return value


def _duration(text: str) -> float:
    try:
        value = float(text[:40])
    except ValueError as exc:
        raise PlaylistError("an invalid duration") from exc
    if not 0 <= value <= MAX_DURATION_S:
        raise PlaylistError("an invalid duration")
    return value


def _time(text: str) -> float | None:
    """Return Unix seconds; None for what is no time, which is only left out."""
    try:
        moment = datetime.fromisoformat(text.strip())
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError):
        return None
