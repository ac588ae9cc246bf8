"""Track search over all tasks of a project."""

from collections.abc import Sequence

import msgspec
from msgspec import UNSET

from api.contract.counts import Counts
from api.contract.query.terms import QueryError, Regex
from api.contract.tracks import TrackPage, TrackResource, TrackSummary
from api.errors import InvalidRequestError
from api.http.pagination import TrackCursor, encode_cursor
from api.store.clickhouse import Rows
from api.store.task_queries import MAX_COUNTED, sources_of
from api.store.track_queries import (
    IndexedTrack,
    TrackQuery,
    count_tracks,
    find_tracks,
    has_vector,
    is_pattern,
)
from api.tasks.counts import counts_of
from api.timestamps import rfc3339_or_none
from models.class_names import public_class
from streamproc.contract.timestamps import rfc3339


async def search_tracks(
    rows: Rows,
    project: str,
    query: TrackQuery,
    after: TrackCursor | None,
    limit: int,
    *,
    with_counts: bool = False,
) -> TrackPage:
    """Return a page of tracks, newest task first; by likeness, nearest first.

    Raises InvalidRequestError if the `similar_to` track has no feature vector, or a pattern of the
    query is none.
    """
    if query.similar_to is not None and not await has_vector(rows, project, *query.similar_to):
        raise InvalidRequestError.at(
            "similar_to" if query.query.like is None else "q",
            "no such track with a feature vector: its task needs a feature step",
        )
    for term in query.query.terms:
        if isinstance(term, Regex) and not await is_pattern(rows, term.pattern):
            error = QueryError("this is no RE2 pattern", term.position, f"{term.field}~")
            raise InvalidRequestError.at("q", str(error))
    found = await find_tracks(rows, project, query, after, limit + 1)
    page = found[:limit]
    sources = await sources_of(rows, project, [track.task_id for track in page])
    return TrackPage(
        data=[
            _resource(track, sources.get(track.task_id, ""), with_distance=query.is_by_likeness)
            for track in page
        ],
        next_cursor=encode_cursor(_place(page[-1])) if len(found) > limit else None,
        counts=await _counts(rows, project, query) if with_counts else UNSET,
    )


def parse_similar_to(text: str) -> tuple[str, int]:
    """Parse `task:track`; return the task id and the track id. Raises InvalidRequestError."""
    task, _, track = text.rpartition(":")
    if not task or not (track.isascii() and track.isdecimal()) or len(track) > len(str(2**32)):
        raise InvalidRequestError.at("similar_to", "must be task:track, such as vt_01HZ…:3")
    return task, min(int(track), 2**32 - 1)


def public_classes(names: Sequence[str]) -> tuple[str, ...]:
    """Return the class names to search for in the index: `person` also finds `pedestrian`."""
    return tuple(dict.fromkeys(name for n in names for name in (n, public_class(n))))


async def _counts(rows: Rows, project: str, query: TrackQuery) -> Counts:
    total = await count_tracks(rows, project, TrackQuery(), MAX_COUNTED + 1)
    if query.is_open:
        return counts_of(total, total)
    return counts_of(await count_tracks(rows, project, query, MAX_COUNTED + 1), total)


def _place(track: IndexedTrack) -> TrackCursor:
    return TrackCursor(track.distance, track.created_ms, track.task_id, track.track_id)


def summary_of(track: IndexedTrack) -> TrackSummary:
    """Return the track as results show it."""
    return TrackSummary(
        track_id=track.track_id,
        class_name=track.class_name,
        first_frame=track.first_frame,
        last_frame=track.last_frame,
        frames_seen=track.frames_seen,
        best_confidence=track.best_confidence,
        feature_digest=track.feature_digest,
        text=track.text,
        text_confidence=track.text_confidence,
        text_support=track.text_support,
        first_seen_s=track.first_s,
        last_seen_s=track.last_s,
        dwell_s=track.dwell_s,
        first_seen_at=rfc3339_or_none(track.first_seen_ms),
        last_seen_at=rfc3339_or_none(track.last_seen_ms),
    )


def _resource(track: IndexedTrack, source: str, *, with_distance: bool) -> TrackResource:
    return TrackResource(
        task=track.task_id,
        **msgspec.structs.asdict(summary_of(track)),
        created_at=rfc3339(track.created_ms),
        distance=track.distance if with_distance else UNSET,
        source=source,
    )
