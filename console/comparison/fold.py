"""Fold of two logs, read side by side, into tracks and into pairs of tracks that overlap.

No I/O: `wants` names the side whose frames are needed next, so that neither waits in memory for
more than one piece of the other. What is kept grows with tracks and pairs, not with frames, except
for 40 bytes for each common frame; all of it has limits.
"""

import math
from array import array
from collections import deque
from collections.abc import Iterable
from typing import Literal, NamedTuple

import numpy as np

from console.comparison.frames import SeenFrame, boxes_of, overlaps
from console.comparison.runs import Runs
from console.errors import ComparisonError
from streamproc.contract.chunk import Target
from streamproc.contract.text_vote import Spelling, add_reading, count, same_spelling

Side = Literal["a", "b"]
MatchedBy = Literal["frame", "time"]

SIDES: tuple[Side, Side] = ("a", "b")
MAX_TRACKS = 50_000
"""Tracks of each task."""
MAX_RUNS = 500_000
"""Runs of frames of all tracks and pairs together."""
MAX_COMMON_FRAMES = 2_000_000
_ROWS = 256  # of one matrix of overlaps
_FALLBACK_FPS = 25.0


class Moment(NamedTuple):
    """A common frame: its index in either task, and its media time in the first one.

    `offset` and `offset_b` are where its events begin in the logs.
    """

    frame: int
    frame_b: int
    time_s: float | None
    offset: int
    offset_b: int


class Track:
    """One track of one task. `runs` are the places of the common frames that it is seen in.

    `class_name` is that of its best target and `text` the winner of the vote over all readings, as
    in the task's results. `has_vector`: one of its targets has a feature vector.
    """

    __slots__ = ("_best", "_spellings", "class_name", "has_vector", "n_frames", "runs")

    def __init__(self) -> None:
        self.runs = Runs()
        self.n_frames = 0
        self.class_name = ""
        self.has_vector = False
        self._best = -1.0
        self._spellings: tuple[Spelling, ...] = ()

    @property
    def text(self) -> str | None:
        vote = count(self._spellings)
        return None if vote is None else vote.text

    def see(self, target: Target) -> None:
        self.n_frames += 1
        self.has_vector |= bool(target.feature_digest)
        if target.confidence > self._best or not self.class_name:
            self._best, self.class_name = target.confidence, target.class_name
        if target.text:
            self._spellings = add_reading(
                self._spellings, target.text, target.text_confidence or 0.0
            )


class Overlap:
    """One track of each task, in the common frames in which their boxes overlap enough."""

    __slots__ = ("first_other_class", "iou_sum", "n_same_class", "runs")

    def __init__(self) -> None:
        self.runs = Runs()
        self.iou_sum = 0.0
        self.n_same_class = 0
        self.first_other_class: int | None = None

    @property
    def iou(self) -> float:
        """The mean IoU."""
        return self.iou_sum / self.runs.n_places


class ComparisonFold:
    """Reads two logs. Call `feed` or `end` for the side that `wants` names, until it is None.

    `same_source`: both tasks read one video, so equal frame indices are one picture. Otherwise, and
    where a log's indices are estimates, frames are matched by their times, to half a frame. Two
    boxes overlap enough from an IoU of `min_iou`.

    A common frame differs if its targets do: their number, or one that no target of the other task
    overlaps enough with, of the same class and text. `n_differing` counts these frames, and
    `first_differing` is the place of the first; ids of tracks are not looked at.
    """

    def __init__(self, *, min_iou: float = 0.5, same_source: bool = True) -> None:
        self.min_iou = min_iou
        self.tracks_a: dict[int, Track] = {}
        self.tracks_b: dict[int, Track] = {}
        self.overlaps: dict[tuple[int, int], Overlap] = {}
        self.n_only_a = 0
        self.n_only_b = 0
        self.n_differing = 0
        self.first_differing: int | None = None
        self.matched_by: MatchedBy | None = None
        self._same_source = same_source
        self._tolerance_s = 0.0
        self._queues: dict[Side, deque[SeenFrame]] = {"a": deque(), "b": deque()}
        self._ended: set[Side] = set()
        self._frames_a = array("q")
        self._frames_b = array("q")
        self._times_s = array("d")
        self._offsets_a = array("q")
        self._offsets_b = array("q")
        self._n_runs = 0

    @property
    def wants(self) -> Side | None:
        """The side whose frames are needed next; None once both logs have ended."""
        for side in SIDES:
            if not self._queues[side] and side not in self._ended:
                return side
        return None

    @property
    def n_common(self) -> int:
        """The number of frames that both tasks have processed."""
        return len(self._frames_a)

    def moment(self, place: int) -> Moment:
        """Return the common frame at a place of `Runs`."""
        time_s = self._times_s[place]
        return Moment(
            self._frames_a[place],
            self._frames_b[place],
            None if math.isnan(time_s) else time_s,
            self._offsets_a[place],
            self._offsets_b[place],
        )

    def feed(self, side: Side, frames: Iterable[SeenFrame]) -> None:
        """Take the next frames of a log; raises `ComparisonError` beyond a limit."""
        self._queues[side].extend(frames)
        self._advance()

    def end(self, side: Side) -> None:
        """Take the end of a log."""
        self._ended.add(side)
        self._advance()

    def _advance(self) -> None:
        queue_a, queue_b = self._queues["a"], self._queues["b"]
        while queue_a and queue_b:
            order = self._order(queue_a[0], queue_b[0])
            if order == 0:
                self._take_both(queue_a.popleft(), queue_b.popleft())
            elif order < 0:
                self._take_one("a", queue_a.popleft())
            else:
                self._take_one("b", queue_b.popleft())
        if "b" in self._ended:
            while queue_a:
                self._take_one("a", queue_a.popleft())
        if "a" in self._ended:
            while queue_b:
                self._take_one("b", queue_b.popleft())

    def _order(self, a: SeenFrame, b: SeenFrame) -> float:
        """Return 0 for one picture, else a number below 0 if `a` comes first."""
        if self.matched_by is None:
            timed = a.time_s is not None and b.time_s is not None
            counted = self._same_source and not (a.index_is_estimate or b.index_is_estimate)
            self.matched_by = "time" if timed and not counted else "frame"
            self._tolerance_s = 0.5 / max(a.fps, b.fps, _FALLBACK_FPS if not a.fps + b.fps else 0)
        if self.matched_by == "frame" or a.time_s is None or b.time_s is None:
            return a.frame - b.frame
        apart_s = a.time_s - b.time_s
        return 0 if abs(apart_s) <= self._tolerance_s else apart_s

    def _take_one(self, side: Side, frame: SeenFrame) -> None:
        if side == "a":
            self.n_only_a += 1
        else:
            self.n_only_b += 1
        for target in frame.targets:
            self._track(side, target)

    def _take_both(self, frame_a: SeenFrame, frame_b: SeenFrame) -> None:
        place = self.n_common
        if place >= MAX_COMMON_FRAMES:
            raise ComparisonError(f"more than {MAX_COMMON_FRAMES} common frames: compare a range")
        self._frames_a.append(frame_a.frame)
        self._frames_b.append(frame_b.frame)
        self._times_s.append(float("nan") if frame_a.time_s is None else frame_a.time_s)
        self._offsets_a.append(frame_a.offset)
        self._offsets_b.append(frame_b.offset)
        for side, frame in zip(SIDES, (frame_a, frame_b), strict=True):
            for target in frame.targets:
                self._count(self._track(side, target).runs.add(place))
        if not self._overlap(place, frame_a.targets, frame_b.targets):
            self.n_differing += 1
            if self.first_differing is None:
                self.first_differing = place

    def _overlap(self, place: int, ours: tuple[Target, ...], theirs: tuple[Target, ...]) -> bool:
        """Note which targets overlap; return whether all have one that is alike."""
        if not (ours and theirs):
            return not ours and not theirs
        alike_a, alike_b = set[int](), set[int]()
        boxes_a, boxes_b = boxes_of(ours), boxes_of(theirs)
        for first in range(0, len(ours), _ROWS):
            ious = overlaps(boxes_a[first : first + _ROWS], boxes_b)
            for i, j in np.argwhere(ious >= self.min_iou).tolist():
                a, b = ours[first + i], theirs[j]
                pair = (a.track_id, b.track_id)
                found = self.overlaps.get(pair)
                if found is None:
                    found = self.overlaps[pair] = Overlap()
                self._count(found.runs.add(place))
                found.iou_sum += float(ious[i, j])
                if a.class_name == b.class_name:
                    found.n_same_class += 1
                    if same_spelling(a.text or None, b.text or None):
                        alike_a.add(first + i)
                        alike_b.add(j)
                elif found.first_other_class is None:
                    found.first_other_class = place
        return len(ours) == len(theirs) == len(alike_a) == len(alike_b)

    def _track(self, side: Side, target: Target) -> Track:
        tracks = self.tracks_a if side == "a" else self.tracks_b
        track = tracks.get(target.track_id)
        if track is None:
            if len(tracks) >= MAX_TRACKS:
                raise ComparisonError(f"more than {MAX_TRACKS} tracks: compare a range")
            track = tracks[target.track_id] = Track()
        track.see(target)
        return track

    def _count(self, is_new_run: bool) -> None:
        self._n_runs += is_new_run
        if self._n_runs > MAX_RUNS:
            raise ComparisonError(
                f"tracks that come and go more than {MAX_RUNS} times: compare a range"
            )
