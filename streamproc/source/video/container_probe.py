"""Container format detection from a file's first bytes (magic numbers), and truncation check.

The demuxer is forced to the format found here: libav's own probing would also find playlists,
subtitle scripts and image sequences, some of which open other files. Unlisted formats are refused.
"""

from collections.abc import Callable, Iterator
from typing import Final

from streamproc.source.errors import (
    SourceEmptyError,
    SourceNotVideoError,
    SourceUnsupportedError,
)

SNIFF_BYTES: Final = 4096

ReadAt = Callable[[int, int], bytes]
"""Function that reads up to `length` bytes at `position`; fewer only at the end."""

_PICTURES: Final = (
    b"\xff\xd8\xff",
    b"\x89PNG",
    b"GIF8",
    b"BM",
    b"II*\x00",
    b"MM\x00*",
    b"\x00\x00\x01\x00",
    b"\xff\x0a",
    b"\x00\x00\x00\x0cJXL",
    b"\x00\x00\x00\x0cjP",
)
_JPEG: Final = b"\xff\xd8\xff"
_JPEG_BEHIND: Final = b"\xff\xd9" + _JPEG
_FIRST_JPEG_BYTES: Final = 1 << 20
_SOUNDS: Final = (b"ID3", b"fLaC", b"\xff\xfb", b"\xff\xf3", b"\xff\xf2", b"\xff\xf1", b"#!AMR")
_PICTURE_BRANDS: Final = (b"heic", b"heix", b"mif1", b"msf1", b"avif", b"avis")
_MOV_BOXES: Final = (b"ftyp", b"moov", b"mdat", b"free", b"wide", b"skip", b"pnot", b"styp")
_PREFIXES: Final = (
    (b"\x1a\x45\xdf\xa3", "matroska"),
    (b"FLV\x01", "flv"),
    (b"OggS", "ogg"),
    (b"\x30\x26\xb2\x75\x8e\x66\xcf\x11", "asf"),
    (b"DKIF", "ivf"),
    (b"\x06\x0e\x2b\x34", "mxf"),
    (b"\x00\x00\x01\xba", "mpeg"),
    (b"\x00\x00\x01\xb3", "mpegvideo"),
    (b"YUV4MPEG2", "yuv4mpegpipe"),
)
_TS_MARK: Final = 0x47
_TS_PACKETS: Final = 10
_START_CODE: Final = b"\x00\x00\x01"
_H264_SPS: Final = 7
_H264_AUD: Final = 9
_H264_BEFORE: Final = (6, _H264_AUD)
_HEVC_SETS: Final = (32, 33)
_HEVC_BEFORE: Final = (35, 39)
_RECORDERS: Final = (b"IMKH", b"DHAV", b"HKMI")
_RECORDERS_HEADER_BYTES: Final = 1024
_EBML_SEGMENT: Final = 0x18538067
_UNKNOWN_32: Final = 0xFFFFFFFF


def container_format(head: bytes, read_at: ReadAt | None = None) -> str:
    """Return libav's demuxer name for a file that begins with `head` (4 KiB, or all of it).

    `read_at` is used if 4 KiB cannot distinguish an image from a stream of images.

    Raises `SourceEmptyError`, `SourceNotVideoError` or `SourceUnsupportedError`.
    """
    if not head:
        raise SourceEmptyError("the source has no bytes")
    moving = _moving_pictures(head, read_at)
    if moving is not None:
        return moving
    is_picture = head.startswith(_PICTURES) or (
        head[4:8] == b"ftyp" and head[8:12] in _PICTURE_BRANDS
    )
    if is_picture:
        raise SourceNotVideoError("the source is a picture, not a video")
    if head[4:8] in _MOV_BOXES:
        return "mov"
    if head[:4] == b"RIFF":
        return _riff(head[8:12])
    for prefix, name in _PREFIXES:
        if head.startswith(prefix):
            return name
    if _is_transport_stream(head):
        return "mpegts"
    if head.startswith(_SOUNDS):
        raise SourceNotVideoError("the source has sound only, no video")
    return _elementary_stream(head) or _behind_a_header(head) or _refuse(head)


def is_truncated(name: str, read_at: ReadAt, size_bytes: int) -> bool:
    """Return whether the container's own lengths reach beyond the end of the file."""
    if name == "mov":
        return _boxes_end(read_at, size_bytes) > size_bytes
    if name == "avi":
        declared = int.from_bytes(read_at(4, 4), "little")
        return declared not in {0, _UNKNOWN_32} and declared + 8 > size_bytes
    if name == "matroska":
        return _segment_end(read_at(0, SNIFF_BYTES)) > size_bytes
    return False


def _moving_pictures(head: bytes, read_at: ReadAt | None) -> str | None:
    """Return the format of an animated GIF or PNG, or of consecutive JPEG images (MJPEG).

    Animated files have a marker near their start. A photograph may contain a second image, and has
    a marker for it (`MPF`). Raises `SourceUnsupportedError` for animated WebP.
    """
    if head.startswith(_JPEG) and read_at and b"MPF\0" not in head:
        return "mjpeg" if _JPEG_BEHIND in read_at(0, _FIRST_JPEG_BYTES) else None
    if head.startswith((b"GIF87a", b"GIF89a")):
        says_so = any(word in head for word in (b"NETSCAPE2.0", b"ANIMEXTS1.0"))
        return "gif" if says_so or head.count(b"\x21\xf9\x04") > 1 else None
    if head.startswith(b"\x89PNG") and b"acTL" in head:
        return "apng"
    if head[:4] == b"RIFF" and head[8:16] == b"WEBPVP8X" and head[20:21] and head[20] & 2:
        raise SourceUnsupportedError("animated WebP is not supported")
    return None


def _riff(kind: bytes) -> str:
    if kind == b"AVI ":
        return "avi"
    if kind == b"WEBP":
        raise SourceNotVideoError("the source is a picture, not a video")
    if kind == b"WAVE":
        raise SourceNotVideoError("the source has sound only, no video")
    raise SourceUnsupportedError("the source's RIFF type is not supported")


def _is_transport_stream(head: bytes) -> bool:
    """Detect MPEG-TS: packets of 188 bytes, plus 4 for a time (.m2ts) or 16 for error correction.

    A recording may begin in the middle of a packet; then more packets are needed.
    """
    for step in (188, 192, 204):
        for first in range(min(step, len(head))):
            marks = head[first : first + step * _TS_PACKETS : step]
            enough = 2 if first in {0, 4} else min(_TS_PACKETS, max(3, len(head) // step - 1))
            if len(marks) >= enough and set(marks) == {_TS_MARK}:
                return True
    return False


def _elementary_stream(head: bytes) -> str | None:
    """Detect H.264 or H.265 without a container: parameter sets precede the first picture."""
    if not head.startswith((b"\x00\x00\x01", b"\x00\x00\x00\x01")):
        return None
    firsts = [head[at : at + 2] for at in _units(head) if len(head) > at + 1]
    if _is_hevc(firsts):
        return "hevc"
    return "h264" if _is_h264(firsts) else None


def _is_hevc(firsts: list[bytes]) -> bool:
    """Check the first two bytes of each unit: AUD, prefix SEI, then a VPS."""
    for first, second in firsts:
        kind = first >> 1 & 0x3F
        if first & 0x80 or second & 7 == 0:
            return False
        if kind in _HEVC_SETS:
            return True
        if kind not in _HEVC_BEFORE:
            return False
    return False


def _is_h264(firsts: list[bytes]) -> bool:
    """Check the first byte of each unit: AUD, SEI, then an SPS."""
    for first, _ in firsts:
        kind = first & 0x1F
        if first & 0x80:
            return False
        if kind == _H264_SPS:
            return True
        if kind not in _H264_BEFORE:
            return False
    return len(firsts) == 1 and firsts[0][0] & 0x1F == _H264_AUD


def _units(head: bytes) -> Iterator[int]:
    """Yield the positions at which units begin, after their start codes."""
    at = head.find(_START_CODE)
    while at >= 0:
        yield at + len(_START_CODE)
        at = head.find(_START_CODE, at + len(_START_CODE))


def _behind_a_header(head: bytes) -> str | None:
    """Detect a program stream after a recorder's own header, for example Hikvision's IMKH."""
    at = head.find(b"\x00\x00\x01\xba", 0, _RECORDERS_HEADER_BYTES)
    mark = head[at + 4] if 0 < at < len(head) - 4 else 0
    is_pack = mark & 0xC4 == 0x44 or mark & 0xF1 == 0x21  # MPEG-2, MPEG-1
    return "mpeg" if is_pack and head.startswith(_RECORDERS) else None


def _refuse(head: bytes) -> str:
    text = head.lstrip(b"\xef\xbb\xbf \t\r\n")[:512].lower()
    if text.startswith((b"#extm3u", b"[playlist]", b"ffconcat")):
        raise SourceUnsupportedError("the source is a playlist; playlists are not supported")
    if text.startswith((b"<!doctype html", b"<html", b"<head", b"<body")):
        raise SourceNotVideoError("the source is a web page, not a video")
    if not any(byte < 9 or 13 < byte < 32 for byte in head):
        raise SourceNotVideoError("the source is text, not a video")
    raise SourceUnsupportedError("the source's container format is not supported")


def _boxes_end(read_at: ReadAt, size_bytes: int) -> int:
    """Iterate over the top-level boxes of an ISO base media file; return the last one's end."""
    position = 0
    for _ in range(100_000):
        header = read_at(position, 16) if position < size_bytes else b""
        if len(header) < 8:
            break
        length = int.from_bytes(header[:4], "big")
        if length == 1 and len(header) == 16:
            length = int.from_bytes(header[8:], "big")
        if length < 8 or not header[4:8].isalnum():
            break
        position += length
    return position


def _segment_end(head: bytes) -> int:
    """Return the end of the first Segment of a Matroska file; 0 when it is not given."""
    position = 0
    for _ in range(64):
        identifier, position = _vint(head, position, keep_marker=True)
        length, position = _vint(head, position, keep_marker=False)
        if identifier is None or length is None:
            break
        if identifier == _EBML_SEGMENT:
            return position + length
        position += length
    return 0


def _vint(data: bytes, position: int, *, keep_marker: bool) -> tuple[int | None, int]:
    """Read an EBML variable-length integer; None when unknown (all ones) or out of data."""
    if position >= len(data) or data[position] == 0:
        return None, position
    width = 9 - data[position].bit_length()
    raw = int.from_bytes(data[position : position + width], "big")
    mask = (1 << (7 * width)) - 1
    if keep_marker:
        return raw, position + width
    value = raw & mask
    return (None if value == mask else value), position + width
