"""Track search route: tracks of all tasks, by properties, by visual similarity or by words."""

from typing import Annotated

from litestar import get
from litestar.params import QueryParameter

from api.contract import paths
from api.contract.query.terms import Query
from api.contract.query.tracks import TRACKS
from api.contract.tracks import TrackPage
from api.errors import InvalidRequestError
from api.http.pagination import TrackCursor, decode_cursor
from api.routes.dependencies import TheProject, TheServices
from api.routes.listing import (
    DEFAULT_LIMIT,
    Cursor,
    From,
    Include,
    Limit,
    QueryText,
    To,
    parse_query,
    wants_counts,
)
from api.routes.openapi import problems
from api.services import Services
from api.store.track_queries import LikeVector, TrackQuery
from api.tasks.submission import now_ms
from api.tasks.text_search import MAX_LIKE_TEXT, choose_text_encoder, parse_like_text
from api.tasks.track_search import parse_similar_to, public_classes, search_tracks
from api.timestamps import parse_time_ms

Text = Annotated[str | None, QueryParameter(name="text", required=False, max_length=256)]


LikeText = Annotated[
    str | None,
    QueryParameter(
        name="like_text",
        required=False,
        description=(
            "Words for what is looked for, nearest first; at most"
            f" {MAX_LIKE_TEXT} characters. A text encoder must be added for the feature model."
        ),
    ),
]
LikeModel = Annotated[
    str | None,
    QueryParameter(
        name="like_model",
        required=False,
        max_length=128,
        description="The feature model whose vectors are compared with the words of like_text.",
    ),
]


@get(paths.TRACKS, operation_id="searchTracks", responses=problems(400, 403, 422))
async def get_tracks(
    services: TheServices,
    project: TheProject,
    task: Annotated[list[str] | None, QueryParameter(name="task", required=False)] = None,
    class_name: Annotated[list[str] | None, QueryParameter(name="class", required=False)] = None,
    created_from: From = None,
    created_to: To = None,
    min_dwell_s: Annotated[float | None, QueryParameter(name="min_dwell_s", ge=0)] = None,
    min_confidence: Annotated[
        float | None, QueryParameter(name="min_confidence", ge=0, le=1)
    ] = None,
    text: Text = None,
    similar_to: Annotated[str | None, QueryParameter(name="similar_to", required=False)] = None,
    like_text: LikeText = None,
    like_model: LikeModel = None,
    q: QueryText = None,
    include: Include = None,
    cursor: Cursor = None,
    limit: Limit = DEFAULT_LIMIT,
) -> TrackPage:
    """Search the tracks of all the project's tasks.

    `similar_to=task:track` sorts by similarity to a track, `like_text` by similarity to words.
    """
    wanted = parse_query(q, TRACKS)
    similar = _similar_to(similar_to, wanted)
    query = TrackQuery(
        tasks=tuple(task or ()),
        classes=public_classes(class_name or ()),
        from_ms=None if created_from is None else parse_time_ms(created_from, "from"),
        to_ms=None if created_to is None else parse_time_ms(created_to, "to"),
        min_dwell_s=min_dwell_s,
        min_confidence=min_confidence,
        text=text,
        similar_to=similar,
        like=await _like(services, project, like_text, like_model, similar),
        query=wanted,
        as_of_ms=now_ms(),
    )
    after = None if cursor is None else decode_cursor(cursor, TrackCursor)
    return await search_tracks(
        services.rows, project, query, after, limit, with_counts=wants_counts(include)
    )


def _similar_to(parameter: str | None, query: Query) -> tuple[str, int] | None:
    """Return the track to compare with, from the parameter or from the query's `like`."""
    like = query.like
    if like is None:
        return None if parameter is None else parse_similar_to(parameter)
    if parameter is not None:
        raise InvalidRequestError.at("similar_to", "cannot be given with like: in q")
    return (like.task, like.track)


async def _like(
    services: Services,
    project: str,
    like_text: str | None,
    like_model: str | None,
    similar_to: tuple[str, int] | None,
) -> LikeVector | None:
    """Return the vector of the words that are looked for; raises InvalidRequestError."""
    if like_text is None:
        if like_model is not None:
            raise InvalidRequestError.at("like_model", "belongs to like_text")
        return None
    if similar_to is not None:
        raise InvalidRequestError.at("like_text", "cannot be combined with similar_to or like:")
    text = parse_like_text(like_text)
    model, encoder = choose_text_encoder(services.registry, like_model)
    return LikeVector(model, await services.texts.get(project, encoder, text))


HANDLERS = [get_tracks]
