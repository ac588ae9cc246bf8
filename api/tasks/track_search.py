"""Track search over all tasks of a project."""

from collections.abc import Sequence

import msgspec
from msgspec import UNSET

from api.contract.resources import TrackPage, TrackResource, TrackSummary
from api.errors import InvalidRequestError
from api.http.pagination import TrackCursor, encode_cursor
from api.store.clickhouse import Rows
from api.store.track_queries import IndexedTrack, TrackQuery, find_tracks, has_vector
from api.timestamps import rfc3339
from models.class_names import public_class


async def search_tracks(
    rows: Rows, project: str, query: TrackQuery, after: TrackCursor | None, limit: int
) -> TrackPage:
    """Return a page of tracks, newest task first; by likeness, nearest first.

    Raises InvalidRequestError if the `similar_to` track has no feature vector.
    """
    if query.similar_to is not None and not await has_vector(rows, project, *query.similar_to):
        raise InvalidRequestError.at(
            "similar_to", "no such track with a feature vector: its task needs a feature step"
        )
    found = await find_tracks(rows, project, query, after, limit + 1)
    page = found[:limit]
    return TrackPage(
        data=[_resource(track, with_distance=query.is_by_likeness) for track in page],
        next_cursor=encode_cursor(_place(page[-1])) if len(found) > limit else None,
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
    )


def _resource(track: IndexedTrack, *, with_distance: bool) -> TrackResource:
    return TrackResource(
        task=track.task_id,
        **msgspec.structs.asdict(summary_of(track)),
        created_at=rfc3339(track.created_ms),
        distance=track.distance if with_distance else UNSET,
    )
