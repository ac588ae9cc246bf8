"""From a fold that has read both logs to the comparison that is shown. Pure."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from console.comparison.fold import ComparisonFold, Side, Track
from console.comparison.report import (
    Compared,
    ComparedStep,
    Comparison,
    FirstDifference,
    counted,
)
from console.comparison.requests import request_changes
from console.comparison.rerun import source_of
from console.comparison.verdicts import Verdicts, judged


class Subject(NamedTuple):
    """A task that is compared, and its request as the api echoes it."""

    task: str
    request: Mapping[str, Any]


def compared(fold: ComparisonFold, first: Subject, second: Subject) -> Comparison:
    """Return the comparison of two tasks, whose logs the fold has read to their ends."""
    verdicts = judged(fold)
    n_frames = sum(match.frames for match in verdicts.matches)
    iou_sum = sum(match.frames * match.iou for match in verdicts.matches)
    return Comparison(
        a=_side(fold, "a", first),
        b=_side(fold, "b", second),
        source=source_of(first.request),
        min_iou=fold.min_iou,
        matched_by=fold.matched_by,
        common_frames=fold.n_common,
        iou=round(iou_sum / n_frames, 4) if n_frames else None,
        counts=counted(verdicts.differences),
        differences=verdicts.differences,
        matches=verdicts.matches,
        requests=request_changes(first.request, second.request),
        first=_first(fold, verdicts),
        differing_frames=fold.n_differing,
    )


def steps_of(request: Mapping[str, Any]) -> tuple[ComparedStep, ...]:
    """Return the steps of a request, with the parameters that are given."""
    return tuple(
        ComparedStep(str(step.get("model")), step.get("parameters") or {})
        for step in request.get("steps") or ()
    )


def _first(fold: ComparisonFold, verdicts: Verdicts) -> FirstDifference | None:
    """Return the first frame whose targets differ, or the first difference of tracks."""
    found = [
        FirstDifference(one.frame, one.frame_b, one.time_s, one.offset, one.offset_b)
        for one in verdicts.differences[:1]
    ]
    if fold.first_differing is not None:
        found.append(FirstDifference(*fold.moment(fold.first_differing)))
    return min(found, key=lambda one: one.offset, default=None)


def _side(fold: ComparisonFold, side: Side, subject: Subject) -> Compared:
    tracks: Mapping[int, Track] = fold.tracks_a if side == "a" else fold.tracks_b
    n_seen = sum(1 for track in tracks.values() if track.runs.n_places)
    return Compared(
        task=subject.task,
        steps=steps_of(subject.request),
        precision=subject.request.get("precision"),
        frames=fold.n_common + (fold.n_only_a if side == "a" else fold.n_only_b),
        tracks=n_seen,
        other_tracks=len(tracks) - n_seen,
    )
