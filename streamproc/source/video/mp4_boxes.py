"""Memory-exhaustion check of an ISO base media file (MP4, MOV): announced samples against size.

libav allocates an entry for each sample that a table announces, before it reads the samples: a file
of 30 kB can announce a thousand million. This check reads only headers.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, NamedTuple

from streamproc.source.errors import SourceTooLargeError
from streamproc.source.video.container_probe import ReadAt

MAX_SAMPLES: Final = 16_000_000
"""Of all tracks together: three days at 60 frames a second. libav uses 44 bytes for each."""
MAX_NESTED_BOXES: Final = 20_000
_MAX_FRAGMENT_BOXES: Final = 2_000
"""Fragments are checked up to this number of boxes: libav reads later ones when it reaches them."""
_MAX_TOP_BOXES: Final = 100_000
_MANY_BOXES: Final = 10_000
_SMALL_BOX_BYTES: Final = 64
_MOST_SMALL: Final = 0.8
"""Maximum share of small boxes among many: a fragment has two large and at most three small."""

_CONTAINERS: Final = frozenset(
    b"moov trak mdia minf stbl dinf edts mvex udta moof traf rmra rmda".split()
)
"""Boxes that libav reads as lists of boxes, at any position."""
_HEADER_BYTES: Final = 8
_LARGE_HEADER_BYTES: Final = 16
_BYTES_PER_ENTRY: Final = {
    b"stts": 8,
    b"ctts": 8,
    b"stsc": 12,
    b"stco": 4,
    b"co64": 8,
    b"stss": 4,
    b"stps": 4,
}
_TRUN_SAMPLE_FIELDS: Final = 0x0F00
_LEAST_SAMPLES_PER_CHUNK: Final = 160


class _Box(NamedTuple):
    kind: bytes
    body: int
    end: int
    length: int


@dataclass(slots=True)
class _Track:
    """Samples of equal size in a track, and the properties by which libav counts them."""

    n_samples: int = 0
    sample_bytes: int = 0
    is_sound: bool = False
    ticks_evenly: bool = True
    """Whether all samples have the same duration of one tick: then sound is indexed by chunks."""


def check(read_at: ReadAt, size_bytes: int | None, *, only_first: bool = False) -> None:
    """Raise `SourceTooLargeError` when reading the file's tables could need unlimited memory.

    A file of unknown size is checked up to its first `moov`, which libav has to read, too.
    `only_first`: up to the first fragment, as configured for libav.
    """
    _Survey(read_at, size_bytes, only_first=only_first).run()


class _Survey:
    def __init__(self, read_at: ReadAt, size_bytes: int | None, *, only_first: bool) -> None:
        self._read_at = read_at
        self._only_first = only_first
        self._size = size_bytes
        self._n_nested = 0
        self._n_samples = 0
        self._track = _Track()

    def run(self) -> None:
        n_small = 0
        for n_boxes, box in enumerate(self._boxes(0, self._size), 1):
            n_small += box.length < _SMALL_BOX_BYTES
            if n_boxes >= _MANY_BOXES and n_small > n_boxes * _MOST_SMALL:
                raise SourceTooLargeError(
                    f"the file has more than {_MANY_BOXES} boxes, mostly tiny"
                )
            if box.kind != b"moof" or self._n_nested < _MAX_FRAGMENT_BOXES:
                self._enter(box)
            if self._only_first and box.kind == b"moof":
                return
            if n_boxes == _MAX_TOP_BOXES or (box.kind == b"moov" and self._size is None):
                return

    def _enter(self, top: _Box) -> None:
        """Check all boxes within one, without recursion: the file determines the nesting depth."""
        open_boxes = [iter((top,))]
        while open_boxes:
            box = next(open_boxes[-1], None)
            if box is None:
                open_boxes.pop()
                continue
            if box.kind == b"trak":
                self._end_track()
            if box.kind in _CONTAINERS:
                open_boxes.append(self._nested(box))
            else:
                self._judge(box)
        self._end_track()

    def _nested(self, box: _Box) -> Iterator[_Box]:
        for inner in self._boxes(box.body, box.end):
            self._n_nested += 1
            if self._n_nested > MAX_NESTED_BOXES:
                raise SourceTooLargeError(
                    f"the file's header has more than {MAX_NESTED_BOXES} boxes"
                )
            yield inner

    def _boxes(self, position: int, end: int | None) -> Iterator[_Box]:
        """Yield consecutive boxes; an invalid box ends the list, as in libav."""
        while end is None or position + _HEADER_BYTES <= end:
            header = self._read_at(position, _LARGE_HEADER_BYTES)
            if len(header) < _HEADER_BYTES:
                return
            length, body = int.from_bytes(header[:4], "big"), position + _HEADER_BYTES
            if length == 1 and len(header) == _LARGE_HEADER_BYTES:
                length, body = int.from_bytes(header[8:], "big"), position + _LARGE_HEADER_BYTES
            if length == 0:
                length = (end or body) - position
            if length < body - position:
                return
            last = position + length
            yield _Box(header[4:8], body, last if end is None else min(last, end), length)
            position = last

    def _judge(self, box: _Box) -> None:
        track = self._track
        if box.kind == b"hdlr":
            track.is_sound = self._bytes(box, 8, 4) == b"soun"
        elif box.kind == b"stsz":
            size, count = self._number(box, 4), self._number(box, 8)
            if size == 0:
                self._add(count, count * 4)
            elif count > track.n_samples:
                track.n_samples, track.sample_bytes = count, size
        elif box.kind == b"stz2":
            count = self._number(box, 8)
            self._add(count, count * self._number(box, 4) // 8)
        elif box.kind == b"trun":
            flags, count = self._number(box, 0), self._number(box, 4)
            self._add(count, count * 4 * (flags & _TRUN_SAMPLE_FIELDS).bit_count())
        elif box.kind in _BYTES_PER_ENTRY:
            n_entries = self._number(box, 4)
            self._hold(n_entries * _BYTES_PER_ENTRY[box.kind])
            if box.kind == b"stts":
                track.ticks_evenly &= n_entries == 1 and self._number(box, 12) == 1

    def _end_track(self) -> None:
        track, self._track = self._track, _Track()
        if track.is_sound and track.ticks_evenly:
            self._add(track.n_samples // _LEAST_SAMPLES_PER_CHUNK, 0)
        else:
            self._add(track.n_samples, track.n_samples * track.sample_bytes)

    def _add(self, n_samples: int, n_bytes: int) -> None:
        self._hold(n_bytes)
        self._n_samples += n_samples
        if self._n_samples > MAX_SAMPLES:
            raise SourceTooLargeError(f"the file announces more than {MAX_SAMPLES} samples")

    def _hold(self, n_bytes: int) -> None:
        if self._size is not None and n_bytes > self._size:
            raise SourceTooLargeError("the file announces more samples than it can hold")

    def _number(self, box: _Box, offset: int) -> int:
        """Return four bytes of the body as a number, 0 where the box is too short."""
        return int.from_bytes(self._bytes(box, offset, 4), "big")

    def _bytes(self, box: _Box, offset: int, length: int) -> bytes:
        at = box.body + offset
        return self._read_at(at, length) if at + length <= box.end else b""
