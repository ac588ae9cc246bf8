"""A picture of H.264 or H.265 from the NAL units of its packets, as an Annex B byte stream."""

from typing import Final, NamedTuple

from streamproc.source.live.rtp.nal_codecs import NalCodec, Part, Piece

MAX_BYTES: Final = 8 << 20
MAX_SET_BYTES: Final = 4096
MAX_SETS: Final = 64
_START_CODE: Final = b"\x00\x00\x00\x01"


class Picture(NamedTuple):
    """A coded picture. `is_damaged`: bytes of it are missing, or were malformed."""

    data: bytes
    is_key: bool
    is_damaged: bool


class NalUnits:
    """Collects the packets of one picture after the other; at most `MAX_BYTES` of one.

    A keyframe without parameter sets gets the newest ones: of the session description, or those
    that came between the pictures. While there are none, decoding cannot begin at it: it is no
    keyframe.
    """

    def __init__(self, codec: NalCodec, parameter_sets: tuple[bytes, ...]) -> None:
        self._codec = codec
        self._sets: dict[int, list[bytes]] = {}
        self._new_sets: dict[int, list[bytes]] = {}
        for nal in parameter_sets:
            self._note_set(nal)
        self._take_sets()
        self._data = bytearray()
        self._nal_start: int | None = None
        self._has_picture = self._is_key = self._is_damaged = False
        self._follows_loss = False

    @property
    def parameter_sets(self) -> tuple[bytes, ...]:
        """The newest parameter sets, in the order of their types."""
        return tuple(nal for kind in sorted(self._sets) for nal in self._sets[kind])

    @property
    def is_empty(self) -> bool:
        return not self._data and not self._is_damaged

    @property
    def can_end(self) -> bool:
        """Whether a marker ends the picture: parameter sets alone are none."""
        return self._has_picture

    def lose(self) -> None:
        """Note that packets are missing before the next one."""
        if self.is_empty:
            self._follows_loss = True
        else:
            self._damage()

    def add(self, payload: memoryview) -> None:
        try:
            for piece in self._codec.unpack(payload):
                self._add(piece)
        except ValueError:
            self._damage()

    def add_unit(self, nal: bytes) -> None:
        """Add a whole NAL unit, without a start code."""
        self._add(Piece(Part.WHOLE, nal))

    def take(self) -> Picture | None:
        """Return the picture and start the next; None if there was none."""
        if self._nal_start is not None:
            self._damage()
        missing = self._take_sets()
        head = b""
        is_key = self._is_key and self._codec.needed_sets <= self._sets.keys()
        if is_key:
            head = b"".join(_START_CODE + nal for kind in missing for nal in self._sets[kind])
        found = None
        if self._has_picture or self._is_damaged:
            found = Picture(head + bytes(self._data), is_key, self._is_damaged)
        self._follows_loss = self._follows_loss and found is None
        self._data = bytearray()
        self._has_picture = self._is_key = self._is_damaged = False
        return found

    def _add(self, piece: Piece) -> None:
        if piece.part in {Part.WHOLE, Part.START}:
            if self._nal_start is not None:
                self._damage()
            self._nal_start = len(self._data)
            self._data += _START_CODE
        elif self._nal_start is None:
            self._damage()
            return
        self._data += piece.data
        if len(self._data) > MAX_BYTES:
            self._damage()
            self._data.clear()
        elif piece.part in {Part.WHOLE, Part.END}:
            self._end_nal()

    def _end_nal(self) -> None:
        start, self._nal_start = self._nal_start, None
        nal = bytes(self._data[(start or 0) + len(_START_CODE) :][:MAX_SET_BYTES])
        if len(nal) < 3:
            return
        codec = self._codec
        if codec.is_picture(nal):
            if self._follows_loss and not self._has_picture and not codec.is_first_slice(nal):
                self._is_damaged = True
            self._has_picture = True
        self._is_key = self._is_key or codec.is_key(nal)
        self._note_set(nal)

    def _damage(self) -> None:
        """Leave out the unit that cannot be completed."""
        self._is_damaged = True
        if self._nal_start is not None:
            del self._data[self._nal_start :]
            self._nal_start = None

    def _note_set(self, nal: bytes) -> None:
        kind = self._codec.set_kind(nal) if len(nal) > 2 else None
        if kind is not None and len(nal) < MAX_SET_BYTES:
            sets = self._new_sets.setdefault(kind, [])
            if nal not in sets and len(sets) < MAX_SETS:
                sets.append(nal)

    def _take_sets(self) -> list[int]:
        """Make the sets of this picture the newest; return the types that it did not have."""
        missing = [kind for kind in sorted(self._sets) if kind not in self._new_sets]
        self._sets |= self._new_sets
        self._new_sets = {}
        return missing
