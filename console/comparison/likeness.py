"""Tracks without a partner, by their feature vectors: what to ask the api, and its answers. No I/O.

Boxes match tracks of the same pictures. The vector finds an object again at another time, or in
another video.
"""

from collections.abc import Generator, Mapping, Sequence
from http import HTTPStatus
from itertools import islice
from typing import Any, NamedTuple

from msgspec.structs import replace

from api.contract.models import ModelResource
from api.contract.tracks import TrackResource
from console.client import calls
from console.client.calls import Call
from console.comparison.fold import ComparisonFold
from console.comparison.report import Compared, Comparison, Difference
from console.comparison.rerun import resolved
from console.errors import ApiProblem

MAX_QUESTIONS = 50


class Question(NamedTuple):
    """A track; the one of the task `other` with the nearest vector is looked for."""

    task: str
    track: int
    other: str


def likeness(found: Comparison, fold: ComparisonFold) -> Generator[Call[Any], Any, Comparison]:
    """Yield calls, receive their answers, and return the comparison with what was found.

    An `ApiProblem` is thrown in; one that is about more than a track without a vector is raised.
    The first `MAX_QUESTIONS` tracks that are lost or new are looked for.
    """
    if not (found.counts["lost"] or found.counts["new"]):
        return found
    asked = questions(found, fold, (yield calls.models()).data)
    for task in sorted({task for one in asked for task in (one.task, one.other)}):
        yield calls.results(task, limit=1)  # is answered once the index has all of the task
    nearest: dict[Question, TrackResource] = {}
    for one in asked:
        similar_to = f"{one.task}:{one.track}"
        try:
            page = yield calls.tracks(similar_to=similar_to, task_id=one.other, limit=1)
        except ApiProblem as exc:
            if exc.status != HTTPStatus.UNPROCESSABLE_ENTITY:
                raise
        else:
            nearest.update((one, track) for track in page.data[:1])
    return with_likeness(found, nearest)


def questions(
    found: Comparison, fold: ComparisonFold, models: Sequence[ModelResource]
) -> tuple[Question, ...]:
    """Return what to ask for the first `MAX_QUESTIONS` tracks that are lost or new.

    Vectors of different feature models say nothing of each other: then nothing is asked.
    """
    spaces = [_feature_models(side, models) for side in (found.a, found.b)]
    if not spaces[0] or spaces[0] != spaces[1]:
        return ()
    tracks = {found.a.task: fold.tracks_a, found.b.task: fold.tracks_b}
    if not all(any(track.has_vector for track in side.values()) for side in tracks.values()):
        return ()
    asked = (_question(one, found) for one in found.differences)
    with_vector = (
        one for one in asked if one is not None and tracks[one.task][one.track].has_vector
    )
    return tuple(islice(with_vector, MAX_QUESTIONS))


def with_likeness(found: Comparison, nearest: Mapping[Question, TrackResource]) -> Comparison:
    """Return the comparison with the nearest track of each that was asked for."""
    return replace(
        found, differences=tuple(_with_nearest(one, found, nearest) for one in found.differences)
    )


def _feature_models(side: Compared, models: Sequence[ModelResource]) -> set[str]:
    steps = (resolved(step.model, models) for step in side.steps)
    return {model.id for model in steps if model is not None and model.kind == "feature"}


def _question(one: Difference, found: Comparison) -> Question | None:
    """Return what to ask of a lost or a new track; None of other differences."""
    if one.kind == "lost":
        return Question(found.a.task, one.a[0], found.b.task)
    if one.kind == "new":
        return Question(found.b.task, one.b[0], found.a.task)
    return None


def _with_nearest(
    one: Difference, found: Comparison, nearest: Mapping[Question, TrackResource]
) -> Difference:
    question = _question(one, found)
    track = None if question is None else nearest.get(question)
    if track is None or not isinstance(track.distance, float):
        return one
    return replace(one, like=track.track_id, distance=round(track.distance, 4))
