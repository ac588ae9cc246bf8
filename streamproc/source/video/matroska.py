"""Matroska parser for seeking: elements before the first cluster, cluster times (RFC 9559)."""

from collections.abc import Iterator
from typing import Final, NamedTuple

from streamproc.source.video.container_probe import ReadAt
from streamproc.source.video.pattern_search import places
from streamproc.source.video.time_marks import Mark

_SEGMENT: Final = 0x18538067
_CLUSTER: Final = 0x1F43B675
_SEEK_HEAD: Final = 0x114D9B74
_SEEK: Final = 0x4DBB
_SEEK_ID: Final = 0x53AB
_SEEK_POSITION: Final = 0x53AC
_CUES: Final = 0x1C53BB6B
_TIMESTAMP: Final = 0xE7
_CRC: Final = 0xBF
_HEAD_BYTES: Final = 12
_MOST_HEAD_BYTES: Final = 64
_MOST_ELEMENTS: Final = 64
_MOST_NUMBER_BYTES: Final = 8
_SMALL_BYTES: Final = 1 << 16
_VOID: Final = b"\xec\x01"
VOID_BYTES: Final = 9


class _Element(NamedTuple):
    kind: int
    body: int
    end: int | None


class Layout(NamedTuple):
    """Position of the first cluster, and whether Cues exist at their announced position."""

    first_cluster: int
    has_cues: bool


def layout(read_at: ReadAt) -> Layout | None:
    """Return the layout of the file, None when its clusters cannot be found."""
    top = _elements(read_at, 0, None)
    segment = next((e for e in top if e.kind == _SEGMENT), None)
    if segment is None:
        return None
    cues = None
    at = segment.body
    for element in _elements(read_at, segment.body, segment.end):
        if element.kind == _CLUSTER:
            return Layout(at, cues is not None and _is_cues(read_at, cues))
        if element.kind == _SEEK_HEAD and element.end is not None:
            position = _position_of_cues(read_at, element)
            cues = cues if position is None else segment.body + position
        if element.kind == _CUES:
            cues = at
        at = element.end or at
    return None


def next_cluster(read_at: ReadAt, position: int, end: int) -> Mark | None:
    """Return the mark of the first cluster from `position` on; None when there is none.

    Raises `DisorderError` when none is found within the search limit.
    """
    for at in places(read_at, _CLUSTER.to_bytes(4, "big"), position, end):
        head = _element(read_at(at, _HEAD_BYTES), 0)
        if head is None:
            continue
        children = read_at(at + head.body, _MOST_HEAD_BYTES)
        inner = _element(children, 0)
        if inner is not None and inner.kind == _CRC and inner.end is not None:
            inner = _element(children, inner.end)
        if inner is None or inner.end is None or inner.end - inner.body > _MOST_NUMBER_BYTES:
            continue
        if inner.kind == _TIMESTAMP:
            return Mark(int.from_bytes(children[inner.body : inner.end], "big"), at)
    return None


def void(length: int) -> bytes:
    """Return the header of a Void element of `length` bytes in total."""
    return _VOID + (length - VOID_BYTES).to_bytes(7, "big")


def _is_cues(read_at: ReadAt, position: int) -> bool:
    return read_at(position, 4) == _CUES.to_bytes(4, "big")


def _position_of_cues(read_at: ReadAt, seek_head: _Element) -> int | None:
    """Return the position of the Cues, relative to the segment's body; None when not given."""
    if seek_head.end is None or seek_head.end - seek_head.body > _SMALL_BYTES:
        return None
    for seek in _elements(read_at, seek_head.body, seek_head.end):
        if seek.kind != _SEEK or seek.end is None:
            continue
        fields = {
            e.kind: int.from_bytes(read_at(e.body, e.end - e.body), "big")
            for e in _elements(read_at, seek.body, seek.end)
            if e.end is not None and e.end - e.body <= _MOST_NUMBER_BYTES
        }
        if fields.get(_SEEK_ID) == _CUES:
            return fields.get(_SEEK_POSITION)
    return None


def _elements(read_at: ReadAt, position: int, end: int | None) -> Iterator[_Element]:
    """Yield consecutive elements; an element of unknown length is the last."""
    for _ in range(_MOST_ELEMENTS):
        if end is not None and position >= end:
            return
        element = _element(read_at(position, _HEAD_BYTES), 0)
        if element is None:
            return
        last = None if element.end is None else position + element.end
        yield _Element(element.kind, position + element.body, last)
        if last is None:
            return
        position = last


def _element(data: bytes, at: int) -> _Element | None:
    """Read an element's header at `at`; its positions are relative to the data's start."""
    kind, at = _number(data, at, keep_marker=True)
    if kind is None:
        return None
    length, body = _number(data, at, keep_marker=False)
    if body == at:
        return None
    return _Element(kind, body, None if length is None else body + length)


def _number(data: bytes, at: int, *, keep_marker: bool) -> tuple[int | None, int]:
    """Read a variable-length integer; None when unknown (all ones), or at the end of the data."""
    if at >= len(data) or data[at] == 0:
        return None, at
    width = 9 - data[at].bit_length()
    if at + width > len(data):
        return None, at
    raw = int.from_bytes(data[at : at + width], "big")
    if keep_marker:
        return raw, at + width
    mask = (1 << (7 * width)) - 1
    return (None if raw & mask == mask else raw & mask), at + width
