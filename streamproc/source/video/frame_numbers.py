"""Frames as they come, with their numbers: from a place whose number is known."""

from collections.abc import Iterator
from typing import Any

from streamproc.source.types import NO_PLACE
from streamproc.source.video.decoder import Seen


class LostPlaceError(Exception):
    """The frame that was to be found at a place is not there."""


def from_a_keyframe(seen: Iterator[Seen]) -> Iterator[Seen]:
    """Pass frames on if the first is there, and a keyframe to the decoder: others are garbage."""
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
    """Number frames from the anchor on, dropping what is shown before it.

    A frame whose place is not known will do, unless it `has_to_be_there`.
    """
    for first in seen:
        is_there = first.pos == anchor_pos or (
            not has_to_be_there and NO_PLACE in {first.pos, anchor_pos}
        )
        if first.pts == anchor_pts and is_there:
            yield anchor_index, first
            # Leading pictures lost for want of a reference turn up after the keyframe they lead to.
            following = (s for s in seen if s.frame or s.packet or s.pts >= anchor_pts)
            yield from enumerate(following, anchor_index + 1)
            return
        if first.pts > anchor_pts:
            break
    raise LostPlaceError


def noting(packets: Iterator[Any], pts_seen: list[int]) -> Iterator[Any]:
    for packet in packets:
        if packet.pts is not None and not packet.is_discard:
            pts_seen.append(packet.pts)
        yield packet
