"""One frame of a recording: its piece is read, and decoded in the sandbox from a keyframe on."""

from collections.abc import Sequence
from typing import Final, NamedTuple

from streamproc.contract.recordings import MAX_PIECE_BYTES
from streamproc.source.errors import SourceTooLargeError, SourceUnsupportedError
from streamproc.source.fetch.opener import open_reader
from streamproc.source.fetch.policy import FetchPolicy
from streamproc.source.live.recording.picture import DamagedPieceError, RecordedPicture
from streamproc.source.live.recording.piece_maker import read_piece
from streamproc.source.live_source.decoder import Decoded, Described, LiveDecoder
from streamproc.source.types import FrameOutputs, Image

_READ_BYTES: Final = 1 << 20


class RecordedFrame(NamedTuple):
    """A decoded frame; `image`: BGR. `captured_ms`: when it was captured, Unix ms."""

    image: Image
    captured_ms: int


def recorded_frame(url: str, index: int, policy: FetchPolicy) -> RecordedFrame | None:
    """Return the frame with this index of the piece at `url`, None if it has no such frame.

    Raises a `SourceError`: the piece cannot be read, or its bytes are not those of a piece.
    """
    try:
        codec, pictures = read_piece(fetched(url, policy))
    except DamagedPieceError as exc:
        raise SourceUnsupportedError(f"the recording is damaged: {exc}") from exc
    place = next((n for n, one in enumerate(pictures) if one.frame == index), None)
    if place is None:
        return None
    image = _decoded(codec, pictures, place, policy)
    return None if image is None else RecordedFrame(image, pictures[place].captured_ms)


def fetched(url: str, policy: FetchPolicy) -> bytes:
    """Return the bytes of a piece; raises a `SourceError`, also if they are too many."""
    reader = open_reader(url, policy)
    try:
        size = reader.find_size()
        if size > MAX_PIECE_BYTES:
            raise SourceTooLargeError("the recording's piece is larger than any that is written")
        data = bytearray()
        while len(data) < size:
            part = reader.read_at(len(data), min(_READ_BYTES, size - len(data)))
            if not part:
                break
            data += part
        return bytes(data)
    finally:
        reader.close()


def first_needed(pictures: Sequence[RecordedPicture], place: int) -> int | None:
    """Return the place of the keyframe from which a picture can be decoded, None without one.

    A picture that is sent after a keyframe and shown before it refers to pictures before that.
    """
    index = pictures[place].frame
    for key in range(place, -1, -1):
        one = pictures[key]
        is_shown_before = one.frame is None or index is None or one.frame <= index
        if one.is_key and is_shown_before:
            return key
    return None


def _decoded(
    codec: str, pictures: Sequence[RecordedPicture], place: int, policy: FetchPolicy
) -> Image | None:
    key = first_needed(pictures, place)
    if key is None:
        return None

    def wants(described: Described) -> bool:
        return described.number == place

    with LiveDecoder(codec, FrameOutputs(full=True), policy) as decoder:
        for number in range(key, len(pictures)):
            data = pictures[number].data
            found = decoder.decode(number, data, wants, is_fresh=number == key) or []
            if image := _image(found):
                return image[0]
        return next(iter(_image(decoder.drain(wants))), None)


def _image(found: Sequence[Decoded]) -> list[Image]:
    """Return a copy of the picture that was wanted, if it came out."""
    images = [one.slot.image for one in found if one.slot is not None]
    return [one.copy() for one in images if one is not None]
