"""Frame numbering from an anchor frame whose index is known."""

from collections.abc import Callable, Iterator
from typing import Any

from streamproc.source.types import NO_PLACE
from streamproc.source.video.decoder import Seen


class LostPlaceError(Exception):
    """The expected frame was not found at a position."""


def from_a_keyframe(seen: Iterator[Seen]) -> Iterator[Seen]:
    """Yield the frames if the first one is a decoded keyframe; else raise `LostPlaceError`.

    Frames after another start are garbage.
    """
    for first in seen:
        if first.frame is None or not first.is_key:
            raise LostPlaceError
        yield first
        yield from seen


def counted(
    seen: Iterator[Seen],
    anchor_pts: int,
    anchor_index: int,
    anchor_pos: int = NO_PLACE,
    *,
    has_to_be_there: bool = False,
) -> Iterator[tuple[int, Seen]]:
    """Number frames from the anchor on; frames shown before it are dropped.

    The anchor may have an unknown position, unless `has_to_be_there`. Raises `LostPlaceError` if it
    is not found.
    """
    for first in seen:
        is_there = first.pos == anchor_pos or (
            not has_to_be_there and NO_PLACE in {first.pos, anchor_pos}
        )
        if first.pts == anchor_pts and is_there:
            yield anchor_index, first
            # Leading pictures that are lost without a reference are reported after their keyframe.
            following = (s for s in seen if s.frame or s.packet or s.pts >= anchor_pts)
            yield from enumerate(following, anchor_index + 1)
            return
        if first.pts > anchor_pts:
            break
    raise LostPlaceError


def noting(
    packets: Iterator[Any], pts_seen: list[int], is_over: Callable[[], bool]
) -> Iterator[Any]:
    """Yield all packets; the times of those to be shown are noted until `is_over`."""
    for packet in packets:
        if is_over():
            yield packet
            break
        if packet.pts is not None and not packet.is_discard:
            pts_seen.append(packet.pts)
        yield packet
    yield from packets
