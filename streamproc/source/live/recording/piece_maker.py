"""Coded pictures of a live source to pieces of its recording. Sans-IO; thread-safe.

    maker.add(arrived, "h264")    the thread that reads the camera, for each picture
    maker.number(arrived, 17)     the thread that decodes, once it knows the frame's index
    maker.flush()                 when both are done

A piece begins with a keyframe and ends before one. A picture's index is known only when it comes
out of the decoder, so a piece waits for that: until a picture behind it has come out, or too much
waits. Pictures without an index are recorded; they cannot be asked for.
"""

import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from streamproc.contract.recordings import MAX_SPAN
from streamproc.source.live.recording import multipart, transport_stream
from streamproc.source.live.recording.picture import CLOCK_HZ, DamagedPieceError, RecordedPicture
from streamproc.source.live.stream import Arrived

PIECE_S: Final = 10.0
PIECE_BYTES: Final = 8 << 20
"""A piece ends at the next keyframe when it is that long, or has as many bytes."""
MAX_S: Final = 300.0
MAX_BYTES: Final = 32 << 20
MAX_PICTURES: Final = 4096
"""Without a keyframe it ends here, and what comes before the next one is left out."""
MAX_WAITING_BYTES: Final = 64 << 20
"""Of pictures whose index is awaited; the decoder's queue has the same ones."""


class Piece(NamedTuple):
    """A piece to store. `first` and `last`: the lowest and the highest index of its frames."""

    codec: str
    size: tuple[int, int]
    pictures: tuple[RecordedPicture, ...]
    first: int
    last: int

    @property
    def n_bytes(self) -> int:
        return sum(len(one.data) for one in self.pictures)

    def stored(self) -> bytes:
        """Return the bytes of the object that holds it."""
        if self.codec == "mjpeg":
            return multipart.muxed(self.pictures)
        return transport_stream.muxed(self.codec, self.pictures)


def read_piece(data: bytes) -> tuple[str, list[RecordedPicture]]:
    """Return codec and pictures of a stored piece. Raises `DamagedPieceError`."""
    if data[:1] == b"-":
        return "mjpeg", multipart.demuxed(data)
    if data[:1] == b"G":
        return transport_stream.demuxed(data)
    raise DamagedPieceError("a piece has an unknown container")


@dataclass(slots=True)
class _Entry:
    arrived: Arrived
    index: int | None = None


@dataclass(slots=True)
class _Growing:
    codec: str
    size: tuple[int, int] | None
    entries: list[_Entry] = field(default_factory=list)
    n_bytes: int = 0

    @property
    def first_serial(self) -> int:
        return self.entries[0].arrived.serial

    def lasts_s(self, arrival_s: float) -> float:
        return arrival_s - self.entries[0].arrived.unit.arrival_s


class PieceMaker:
    """The recording of one task by one worker."""

    def __init__(
        self, keep: Callable[[Piece], None], skipped: Callable[[int], None], ahead_s: float
    ) -> None:
        """`keep` takes the pieces, from either thread, and returns at once.

        `skipped` is told of pictures that are in no piece, or in one that has no index at all.
        `ahead_s`: what the wall clock is ahead of the monotonic one.
        """
        self._keep, self._skipped, self._ahead_s = keep, skipped, ahead_s
        self._lock = threading.Lock()
        self._growing: _Growing | None = None
        self._waiting: deque[_Growing] = deque()
        self._n_waiting_bytes = 0

    def add(self, arrived: Arrived, codec: str) -> None:
        """Record a picture."""
        with self._lock:
            made = self._ended_by(arrived, codec)
            growing = self._growing
            if growing is None and arrived.unit.is_key:
                growing = self._growing = _Growing(codec, arrived.size)
            if growing is not None:
                growing.entries.append(_Entry(arrived))
                growing.n_bytes += len(arrived.unit.data)
        if growing is None:
            self._skipped(1)
        self._hand_on(made)

    def number(self, arrived: Arrived, index: int) -> None:
        """Note the index of a picture's frame; indexes rise."""
        serial = arrived.serial
        with self._lock:
            made: list[_Growing] = []
            while self._waiting and self._following(0) <= serial:
                made.append(self._taken())
            found = self._waiting[0] if self._waiting else self._growing
            if found is not None and found.entries:
                place = serial - found.first_serial
                if 0 <= place < len(found.entries):
                    found.entries[place].index = index
        self._hand_on(made)

    def flush(self) -> None:
        """End the last piece: nothing follows."""
        with self._lock:
            self._end()
            made = [self._taken() for _ in range(len(self._waiting))]
        self._hand_on(made)

    def _ended_by(self, arrived: Arrived, codec: str) -> list[_Growing]:
        """End the piece if the picture is not of it; return those that wait no longer."""
        growing = self._growing
        if growing is None:
            return []
        unit = arrived.unit
        lasts_s = growing.lasts_s(unit.arrival_s)
        is_full = lasts_s >= PIECE_S or growing.n_bytes >= PIECE_BYTES
        is_other = arrived.gap_s is not None or (codec, arrived.size) != (
            growing.codec,
            growing.size,
        )
        is_too_much = (
            lasts_s >= MAX_S
            or growing.n_bytes + len(unit.data) > MAX_BYTES
            or len(growing.entries) == MAX_PICTURES
        )
        if is_too_much or (unit.is_key and (is_full or is_other)):
            self._end()
        made = []
        while self._n_waiting_bytes > MAX_WAITING_BYTES:
            made.append(self._taken())
        return made

    def _end(self) -> None:
        growing, self._growing = self._growing, None
        if growing is not None:
            self._waiting.append(growing)
            self._n_waiting_bytes += growing.n_bytes

    def _following(self, place: int) -> int:
        """Return the serial of the first picture after a piece that waits."""
        one = self._waiting[place]
        return one.first_serial + len(one.entries)

    def _taken(self) -> _Growing:
        one = self._waiting.popleft()
        self._n_waiting_bytes -= one.n_bytes
        return one

    def _hand_on(self, made: list[_Growing]) -> None:
        for one in made:
            piece = self._piece(one)
            if piece is None:
                self._skipped(len(one.entries))
            else:
                self._keep(piece)

    def _piece(self, of: _Growing) -> Piece | None:
        indexes = [one.index for one in of.entries if one.index is not None]
        if not indexes:
            return None
        first = min(indexes)
        known = {one for one in indexes if one - first < MAX_SPAN}
        pictures = tuple(
            RecordedPicture(
                one.arrived.unit.data,
                one.index if one.index in known else None,
                round((one.arrived.tied_s + self._ahead_s) * CLOCK_HZ),
                one.arrived.unit.is_key,
                round(one.arrived.captured.wall_s * 1000),
            )
            for one in of.entries
        )
        return Piece(of.codec, of.size or (0, 0), pictures, first, max(known))
