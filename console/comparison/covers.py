"""Covers: which frames of each track are covered by which tracks of the other task.

Each track has one partner at most, by the assignment with the greatest overlap over all common
frames. Where a track and its partner do not overlap, other tracks cover the rest.
"""

import heapq
from collections import defaultdict

from console.comparison.assignment import Pair, assigned
from console.comparison.fold import ComparisonFold, Track
from console.comparison.runs import Runs, united, without
from streamproc.contract.text_vote import same_spelling

_MIN_PART = 0.2
"""Partners overlap in this part of the shorter one's frames or more, not just in passing."""
_ALIKE = 1e-3
"""Weight that decides between partners which overlap equally: of equal class, of equal text."""


class Covers:
    """The covers of all tracks of a fold that has read both logs to their ends.

    `partners` are pairs of tracks (of a, of b); `rests` the places that other pairs cover.
    """

    def __init__(self, fold: ComparisonFold) -> None:
        self.fold = fold
        self.texts_a = {track: seen.text for track, seen in fold.tracks_a.items()}
        self.texts_b = {track: seen.text for track, seen in fold.tracks_b.items()}
        self.partners = assigned(self._weights())
        self._of_a: dict[int, Runs] = defaultdict(Runs)
        self._of_b: dict[int, Runs] = defaultdict(Runs)
        for pair in self.partners:
            self._cover(pair, fold.overlaps[pair].runs)
        self.rests = self._cover_rests()

    def of_a(self, track: int) -> Runs:
        """Return the places of the first task's track that are covered."""
        return self._of_a.get(track) or Runs()

    def of_b(self, track: int) -> Runs:
        """Return the same for a track of the second task."""
        return self._of_b.get(track) or Runs()

    def found_a(self, track: int) -> bool:
        """Whether half of the first task's track or more is covered."""
        return _is_found(self.fold.tracks_a[track], self.of_a(track))

    def found_b(self, track: int) -> bool:
        """Whether half of the second task's track or more is covered."""
        return _is_found(self.fold.tracks_b[track], self.of_b(track))

    def _weights(self) -> dict[Pair, float]:
        weights: dict[Pair, float] = {}
        for (a, b), overlap in self.fold.overlaps.items():
            track_a, track_b = self.fold.tracks_a[a], self.fold.tracks_b[b]
            shorter = min(track_a.runs.n_places, track_b.runs.n_places)
            if overlap.runs.n_places < _MIN_PART * shorter:
                continue
            same_class = track_a.class_name == track_b.class_name
            same_text = same_spelling(self.texts_a[a], self.texts_b[b])
            weights[a, b] = (
                overlap.iou_sum + overlap.n_same_class + _ALIKE * (same_class + same_text)
            )
        return weights

    def _cover(self, pair: Pair, runs: Runs) -> None:
        a, b = pair
        self._of_a[a] = united(self._of_a[a], runs)
        self._of_b[b] = united(self._of_b[b], runs)

    def _cover_rests(self) -> dict[Pair, Runs]:
        """Cover what partners leave, the longest overlap first; return it by pair."""
        rests: dict[Pair, Runs] = {}
        waiting = [
            (-overlap.runs.n_places, overlap.runs.first, pair)
            for pair, overlap in self.fold.overlaps.items()
            if pair not in self.partners
        ]
        heapq.heapify(waiting)
        while waiting:
            longest, _, (a, b) = heapq.heappop(waiting)
            rest = without(self.fold.overlaps[a, b].runs, self.of_a(a))
            rest = without(rest, self.of_b(b))
            if rest.n_places == -longest:
                rests[a, b] = rest
                self._cover((a, b), rest)
            elif rest.n_places:  # less than when it was put here: another one may be longer now
                heapq.heappush(waiting, (-rest.n_places, rest.first, (a, b)))
        return rests


def _is_found(track: Track, covered: Runs) -> bool:
    return 2 * covered.n_places >= track.runs.n_places
