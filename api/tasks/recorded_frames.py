"""Frames of a live task in its recording: which piece in S3 has one."""

from api.errors import NotFoundError
from api.store.object_store import Objects
from streamproc.contract.recordings import (
    before_frame,
    find_piece,
    read_piece_key,
    recording_prefix,
)
from streamproc.contract.stored_request import StoredRequest

_PAGE = 1000
_MAX_PAGES = 6
"""Pieces that can have a frame are about as many as the numbers that one may span, at most."""


async def recorded_piece(objects: Objects, stored: StoredRequest, frame: int) -> str:
    """Return the key of the piece in which the frame is to be looked for.

    Raises NotFoundError if there is none, StoreUnavailableError while S3 does not answer.
    """
    if stored.spec.live is None or stored.spec.live.record is None:
        raise NotFoundError(
            "A live source's frames are not kept unless it is recorded: its camera now shows"
            " others.",
            code="frame_not_kept",
        )
    project, task = stored.project, stored.task
    prefix, after = recording_prefix(project, task), before_frame(project, task, frame)
    pieces = []
    for _ in range(_MAX_PAGES):
        keys = await objects.list_keys(prefix, after, _PAGE)
        pieces += [one for one in map(read_piece_key, keys) if one is not None]
        if len(keys) < _PAGE or (pieces and pieces[-1].first > frame):
            break
        after = keys[-1]
    found = find_piece(pieces, frame)
    if found is None:
        raise not_kept()
    return found.key


def not_kept() -> NotFoundError:
    """Return the error for a frame that is not in the recording, or no more."""
    return NotFoundError("The recording does not have this frame.", code="frame_not_kept")
