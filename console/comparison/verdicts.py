"""Verdicts on tracks: lost, new, split, merged, switched, class and text. Pure.

A track that is covered in half of its frames or more (`covers`) is found; others are lost or new.
One that is found without a partner is a part of the track that covers most of it: a split, or a
merger. Every other overlap of two tracks that are found, beyond one frame, is a switch.
"""

from collections import defaultdict
from collections.abc import Iterator
from typing import NamedTuple

from console.comparison.assignment import Pair
from console.comparison.covers import Covers
from console.comparison.fold import ComparisonFold, Track
from console.comparison.report import Difference, Kind, Match
from console.comparison.runs import Runs, without
from streamproc.contract.text_vote import same_spelling

_MIN_SWITCH_FRAMES = 2


class Verdicts(NamedTuple):
    """All differences in the order of their frames, and the tracks that have a partner."""

    differences: tuple[Difference, ...]
    matches: tuple[Match, ...]


def judged(fold: ComparisonFold) -> Verdicts:
    """Return the verdicts on a fold that has read both logs to their ends."""
    covers = Covers(fold)
    parts = _parts(covers)
    differences = [
        *_unfound(covers),
        *_splits(covers, parts),
        *_mergers(covers, parts),
        *_switches(covers, parts),
        *_changes(covers),
    ]
    differences.sort(key=lambda one: (one.frame, one.kind, one.a, one.b))
    matches = tuple(
        Match(
            a,
            b,
            fold.tracks_a[a].class_name,
            fold.overlaps[a, b].runs.n_places,
            round(fold.overlaps[a, b].iou, 4),
        )
        for a, b in _found_partners(covers)
    )
    return Verdicts(tuple(differences), matches)


class _Parts(NamedTuple):
    """The parts of tracks that have several: places of each `a` by `b`, and of each `b` by `a`."""

    of_a: dict[int, dict[int, Runs]]
    of_b: dict[int, dict[int, Runs]]

    def explain(self, pair: Pair) -> bool:
        a, b = pair
        return b in self.of_a.get(a, ()) or a in self.of_b.get(b, ())


def _parts(covers: Covers) -> _Parts:
    overlaps = covers.fold.overlaps
    of_a: dict[int, dict[int, Runs]] = defaultdict(dict)
    of_b: dict[int, dict[int, Runs]] = defaultdict(dict)
    for a, b in covers.partners:
        of_a[a][b] = of_b[b][a] = overlaps[a, b].runs
    alone_a = {a for a in covers.fold.tracks_a if a not in of_a and covers.found_a(a)}
    alone_b = {b for b in covers.fold.tracks_b if b not in of_b and covers.found_b(b)}
    for a, b in sorted(covers.rests, key=lambda pair: (-covers.rests[pair].n_places, pair)):
        if b in alone_b and covers.found_a(a):
            alone_b.remove(b)
            of_a[a][b] = covers.rests[a, b]
        elif a in alone_a and covers.found_b(b):
            alone_a.remove(a)
            of_b[b][a] = covers.rests[a, b]
    return _Parts(
        {a: parts for a, parts in of_a.items() if len(parts) > 1},
        {b: parts for b, parts in of_b.items() if len(parts) > 1},
    )


def _unfound(covers: Covers) -> Iterator[Difference]:
    fold = covers.fold
    for a, track in fold.tracks_a.items():
        if track.runs.n_places and not covers.found_a(a):
            rest = without(track.runs, covers.of_a(a))
            yield _difference(fold, "lost", (a,), (), track, rest)
    for b, track in fold.tracks_b.items():
        if track.runs.n_places and not covers.found_b(b):
            rest = without(track.runs, covers.of_b(b))
            yield _difference(fold, "new", (), (b,), track, rest)


def _splits(covers: Covers, parts: _Parts) -> Iterator[Difference]:
    for a, pieces in parts.of_a.items():
        if covers.found_a(a):
            order = sorted(pieces, key=lambda b: (pieces[b].first, b))
            yield _difference(
                covers.fold,
                "split",
                (a,),
                tuple(order),
                covers.fold.tracks_a[a],
                covers.of_a(a),
                at=pieces[order[1]].first,
            )


def _mergers(covers: Covers, parts: _Parts) -> Iterator[Difference]:
    for b, pieces in parts.of_b.items():
        if covers.found_b(b):
            order = sorted(pieces, key=lambda a: (pieces[a].first, a))
            yield _difference(
                covers.fold,
                "merged",
                tuple(order),
                (b,),
                covers.fold.tracks_b[b],
                covers.of_b(b),
                at=pieces[order[1]].first,
            )


def _switches(covers: Covers, parts: _Parts) -> Iterator[Difference]:
    partner_of_b = {b: a for a, b in covers.partners}
    for (a, b), rest in covers.rests.items():
        if rest.n_places < _MIN_SWITCH_FRAMES or parts.explain((a, b)):
            continue
        if not (covers.found_a(a) and covers.found_b(b)):
            continue
        usual = partner_of_b.get(b)
        first = rest.first if usual is None else covers.fold.overlaps[usual, b].runs.first
        objects = (a,) if usual is None else (a, usual) if rest.first < first else (usual, a)
        yield _difference(
            covers.fold,
            "switched",
            objects,
            (b,),
            covers.fold.tracks_b[b],
            rest,
            at=max(first, rest.first),
        )


def _changes(covers: Covers) -> Iterator[Difference]:
    fold = covers.fold
    for a, b in _found_partners(covers):
        overlap, ours, theirs = fold.overlaps[a, b], fold.tracks_a[a], fold.tracks_b[b]
        texts = covers.texts_a[a], covers.texts_b[b]
        if ours.class_name != theirs.class_name:
            yield _difference(
                fold,
                "class",
                (a,),
                (b,),
                ours,
                overlap.runs,
                at=overlap.first_other_class,
                change=(ours.class_name, theirs.class_name),
            )
        if not same_spelling(*texts):
            yield _difference(fold, "text", (a,), (b,), ours, overlap.runs, change=texts)


def _found_partners(covers: Covers) -> list[Pair]:
    return sorted((a, b) for a, b in covers.partners if covers.found_a(a) and covers.found_b(b))


def _difference(
    fold: ComparisonFold,
    kind: Kind,
    ours: tuple[int, ...],
    theirs: tuple[int, ...],
    track: Track,
    runs: Runs,
    *,
    at: int | None = None,
    change: tuple[str | None, str | None] = (None, None),
) -> Difference:
    """Return the difference, first seen at place `at`, or else where `runs` begin."""
    moment = fold.moment(runs.first if at is None else at)
    return Difference(
        kind,
        ours,
        theirs,
        track.class_name,
        *moment,
        runs.n_places,
        track.runs.n_places,
        *change,
    )
