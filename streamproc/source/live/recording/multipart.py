"""Pieces of JPEG pictures as the parts of a multipart body (`multipart/x-mixed-replace`).

Transport streams have no JPEG. A part has the picture's number and time in its headers. Pieces can
be joined by `cat`. Only pieces that `muxed` made are read; whatever else is a `DamagedPieceError`.
"""

import re
from collections.abc import Sequence
from typing import Final

from streamproc.source.live.recording.picture import (
    MAX_PICTURES,
    NO_INDEX,
    DamagedPieceError,
    RecordedPicture,
    check_size,
    checked_index,
)

_MAX_HEAD_BYTES: Final = 256
_HEAD: Final = re.compile(
    rb"--framewire\r\nContent-Type: image/jpeg\r\nContent-Length: (?P<size>\d{1,9})\r\n"
    rb"Frame-Index: (?P<index>-1|\d{1,13})\r\nShown: (?P<shown>\d{1,19})\r\n"
    rb"Captured-Ms: (?P<captured>\d{1,15})\r\n\r\n"
)


def muxed(pictures: Sequence[RecordedPicture]) -> bytes:
    """Return the pictures of a piece as the parts of a multipart body."""
    parts: list[bytes] = []
    for one in pictures:
        index = NO_INDEX if one.frame is None else one.frame
        head = (
            f"--framewire\r\nContent-Type: image/jpeg\r\nContent-Length: {len(one.data)}\r\n"
            f"Frame-Index: {index}\r\nShown: {one.shown}\r\nCaptured-Ms: {one.captured_ms}\r\n\r\n"
        )
        parts += (head.encode(), one.data, b"\r\n")
    return b"".join(parts)


def demuxed(data: bytes) -> list[RecordedPicture]:
    """Return the pictures of a piece. Raises `DamagedPieceError`."""
    check_size(data)
    found: list[RecordedPicture] = []
    at = 0
    while at < len(data):
        match = _HEAD.match(data, at, at + _MAX_HEAD_BYTES)
        if match is None:
            raise DamagedPieceError("a part has no head of ours")
        if len(found) == MAX_PICTURES:
            raise DamagedPieceError("a piece has too many pictures")
        start = match.end()
        at = start + int(match["size"]) + 2
        if data[at - 2 : at] != b"\r\n":
            raise DamagedPieceError("a part has another size than it says")
        index = checked_index(int(match["index"]))
        shown, captured_ms = int(match["shown"]), int(match["captured"])
        found.append(RecordedPicture(data[start : at - 2], index, shown, True, captured_ms))
    return found
