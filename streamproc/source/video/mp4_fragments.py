"""Fragmented MP4 parser for seeking: index boxes at start and end, search between them.

ISO/IEC 14496-12: `moof` 8.8.4, `tfdt` 8.8.12, `mfra` 8.8.9, `sidx` 8.16.3.
"""

from collections.abc import Iterator
from itertools import pairwise
from typing import Final, NamedTuple

from streamproc.source.video.container_probe import ReadAt
from streamproc.source.video.pattern_search import places
from streamproc.source.video.time_marks import Mark

_HEADER_BYTES: Final = 16
_BEFORE_MOOV: Final = (b"ftyp", b"styp", b"free", b"skip", b"wide", b"uuid", b"pdin")
_MOST_BOXES: Final = 256
_MOST_MOOF_BYTES: Final = 1 << 20
_MOST_LIST_BYTES: Final = 4 << 20
_MOOF: Final = b"moof\0\0\0\x10mfhd"
_MFRO_BYTES: Final = 16
_TFRA_HEAD_BYTES: Final = 16
_SIDX_HEAD_BYTES: Final = 32
FREE_BYTES: Final = 16


class Box(NamedTuple):
    """A box: its kind, and the positions of its start, its body and its end."""

    kind: bytes
    start: int
    body: int
    end: int


def movie_of_fragments(read_at: ReadAt) -> Box | None:
    """Return the `moov` that announces fragments, None when the file is not fragmented."""
    for box in _boxes(read_at, 0, None):
        if box.kind == b"moov":
            is_one = any(inner.kind == b"mvex" for inner in _boxes(read_at, box.body, box.end))
            return box if is_one else None
        if box.kind not in _BEFORE_MOOV:
            return None
    return None


def free(length: int) -> bytes:
    """Return the header of a `free` box of `length` bytes in total."""
    return (1).to_bytes(4, "big") + b"free" + length.to_bytes(8, "big")


def listed(read_at: ReadAt, movie: Box, track: int, size: int, timescale: int) -> list[Mark]:
    """Return the marks listed in `mfra` at the end or `sidx` after the `moov`; else none."""
    tail = read_at(size - _MFRO_BYTES, _MFRO_BYTES)
    length = int.from_bytes(tail[12:16], "big") if tail[4:8] == b"mfro" else 0
    if _MFRO_BYTES < length <= min(size, _MOST_LIST_BYTES):
        found = _random_access(read_at, size - length, track)
        if found:
            return found
    return _segment_index(read_at, movie, size - length, timescale)


def next_fragment(read_at: ReadAt, track: int, position: int, end: int) -> Mark | None:
    """Return the mark of a track's first fragment from `position` on; None when there is none.

    Raises `DisorderError` when none is found within the search limit.
    """
    for name_at in places(read_at, _MOOF, position + 4, end):
        start = name_at - 4
        length = int.from_bytes(read_at(start, 4), "big")
        if not _HEADER_BYTES < length <= _MOST_MOOF_BYTES:
            continue
        time = _decode_time(read_at(start, length), track)
        if time is not None:
            return Mark(time, start)
    return None


def _boxes(read_at: ReadAt, position: int, end: int | None) -> Iterator[Box]:
    for _ in range(_MOST_BOXES):
        if end is not None and position + 8 > end:
            return
        header = read_at(position, _HEADER_BYTES)
        if len(header) < 8:
            return
        length, body = int.from_bytes(header[:4], "big"), position + 8
        if length == 1 and len(header) == _HEADER_BYTES:
            length, body = int.from_bytes(header[8:], "big"), position + _HEADER_BYTES
        if length < body - position:
            return
        yield Box(header[4:8], position, body, position + length)
        position += length


def _random_access(read_at: ReadAt, position: int, track: int) -> list[Mark]:
    """Read the `tfra` box of one track; an empty list when it is missing or damaged."""
    for mfra in _boxes(read_at, position, None):
        for box in _boxes(read_at, mfra.body, mfra.end):
            if box.kind == b"tfra":
                data = read_at(box.body, box.end - box.body)
                if int.from_bytes(data[4:8], "big") == track:
                    return _entries(data)
        break
    return []


def _entries(data: bytes) -> list[Mark]:
    if len(data) < _TFRA_HEAD_BYTES:
        return []
    width = 8 if data[0] == 1 else 4
    lengths = int.from_bytes(data[8:12], "big")
    step = 2 * width + sum((lengths >> shift & 3) + 1 for shift in (4, 2, 0))
    end = _TFRA_HEAD_BYTES + int.from_bytes(data[12:16], "big") * step
    if end > len(data):
        return []
    rows = [data[at : at + step] for at in range(_TFRA_HEAD_BYTES, end, step)]
    return [
        Mark(int.from_bytes(row[:width], "big"), int.from_bytes(row[width : 2 * width], "big"))
        for row in rows
    ]


def _segment_index(read_at: ReadAt, movie: Box, end: int, timescale: int) -> list[Mark]:
    """Read a `sidx` that covers the whole file; one that covers only a part is ignored."""
    for box in _boxes(read_at, movie.end, None):
        if box.kind == b"sidx" and box.end - box.start <= _MOST_LIST_BYTES:
            return _subsegments(read_at(box.body, box.end - box.body), box.end, end, timescale)
        if box.kind in {b"moof", b"mdat"}:
            break
    return []


def _subsegments(data: bytes, anchor: int, end: int, timescale: int) -> list[Mark]:
    if len(data) < _SIDX_HEAD_BYTES:
        return []
    own_scale = int.from_bytes(data[8:12], "big")
    width = 4 if data[0] == 0 else 8
    at = 12 + 2 * width
    time = int.from_bytes(data[12 : 12 + width], "big")
    position = anchor + int.from_bytes(data[12 + width : at], "big")
    n_entries = int.from_bytes(data[at + 2 : at + 4], "big")
    rows = data[at + 4 : at + 4 + 12 * n_entries]
    if own_scale == 0 or n_entries == 0 or len(rows) < 12 * n_entries:
        return []
    marks = []
    for row in range(0, len(rows), 12):
        marks.append(Mark(time * timescale // own_scale, position))
        position += int.from_bytes(rows[row : row + 4], "big") & 0x7FFFFFFF
        time += int.from_bytes(rows[row + 4 : row + 8], "big")
    covers = position >= end and all(a.position < b.position for a, b in pairwise(marks))
    return marks if covers else []


def _decode_time(moof: bytes, track: int) -> int | None:
    """Return the decode time of the track's first sample in the fragment; None without one."""

    def read_at(position: int, length: int) -> bytes:
        return moof[position : position + length]

    for traf in _boxes(read_at, 8, len(moof)):
        if traf.kind != b"traf":
            continue
        inner = {box.kind: box for box in _boxes(read_at, traf.body, traf.end)}
        head, time = inner.get(b"tfhd"), inner.get(b"tfdt")
        if head is None or time is None or time.body >= len(moof):
            continue
        if int.from_bytes(read_at(head.body + 4, 4), "big") == track:
            width = 8 if moof[time.body] == 1 else 4
            return int.from_bytes(read_at(time.body + 4, width), "big")
    return None
