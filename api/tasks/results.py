"""Results of a task: its tracks, summed up by the index over the whole log or the log so far."""

from collections.abc import Sequence

import msgspec
from msgspec import UNSET

from api.contract.tasks import ResultResource, Status, UsageResource
from api.errors import BadRequestError
from api.http.pagination import TrackCursor, decode_cursor, encode_cursor
from api.log.log_state import LogState
from api.store.task_queries import IndexedTask
from api.store.track_queries import IndexedTrack
from api.tasks.track_search import summary_of
from api.timestamps import rfc3339_or_none
from streamproc.contract.stored_request import StoredRequest

MAX_TRACKS = 1000
"""Tracks of a page."""


class ResultQuery(msgspec.Struct, frozen=True):
    """What is asked for: the results so far if `partial`, and which page of the tracks.

    `limit` None: `MAX_TRACKS` where tracks come in pages.
    """

    partial: bool = False
    limit: int | None = None
    cursor: str | None = None

    def is_paged(self, stored: StoredRequest) -> bool:
        """Return whether tracks come in pages: those of a file's task are few, and come whole."""
        asked = self.partial or self.limit is not None or self.cursor is not None
        return asked or stored.spec.live is not None

    def after(self, task: str) -> int:
        """Return the last track of the page before, -1 for the first page.

        Raises BadRequestError for a cursor of another list.
        """
        if self.cursor is None:
            return -1
        place = decode_cursor(self.cursor, TrackCursor)
        if place.task_id != task:
            raise BadRequestError("This cursor belongs to another task.", code="bad_cursor")
        return place.track_id


def has_results(stored: StoredRequest, status: Status, query: ResultQuery) -> bool:
    """Return whether a task of this status has what is asked for.

    A live task has no end of its own: to cancel it is the usual one.
    """
    is_over = status == "succeeded" or (status == "cancelled" and stored.spec.live is not None)
    return is_over or query.partial


def result_resource(
    stored: StoredRequest,
    state: LogState,
    row: IndexedTask | None,
    found: Sequence[IndexedTrack],
    query: ResultQuery,
) -> ResultResource:
    """Return the results; `row` None: the index has not seen the task yet.

    `found` are the tracks of the page and, if there is one, the first of the next page.
    """
    is_paged, limit = query.is_paged(stored), query.limit or MAX_TRACKS
    page = found[:limit] if is_paged else found
    length = 0 if row is None else row.log_length
    is_partial = not state.closed or length < state.length
    result = ResultResource(
        id=stored.task,
        object="mm.pipeline.result",
        model=stored.spec.model_hint,
        usage=_usage(state, row),
        tracks=[summary_of(track) for track in page],
    )
    more: dict[str, object] = {}
    if is_partial:
        more |= {"partial": True, "log_length": length}
    if stored.spec.live is not None:
        more["seen_from"] = rfc3339_or_none(None if row is None else row.seen_from_ms)
        more["seen_to"] = rfc3339_or_none(None if row is None else row.seen_to_ms)
    if is_paged:
        more["next_cursor"] = None
    if len(page) < len(found):
        last = page[-1]
        place = TrackCursor(0.0, last.created_ms, last.task_id, last.track_id)
        more["next_cursor"] = encode_cursor(place)
    return msgspec.structs.replace(result, **more)


def _usage(state: LogState, row: IndexedTask | None) -> UsageResource:
    """Return the cost so far; an open log has its time in its last chunk."""
    elapsed_ms = None if row is None else row.processing_time_ms
    if elapsed_ms is None and state.last_chunk is not None:
        elapsed_ms = state.last_chunk.stream_info.elapsed_ms
    return UsageResource(
        processed_frames=0 if row is None else row.processed_frames,
        processing_time_ms=elapsed_ms or 0,
        dropped=UNSET if row is None or not row.dropped else dict(row.dropped),
    )
