"""Replay of a log into a tracker's state: a task that goes on after frames that only its log knows.

A live source cannot be read again. What a worker wrote after its last checkpoint is in the log, as
targets with their ids; the next worker's tracker follows those, instead of finding its own. Then it
continues with the same objects, and gives no id twice.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from streamproc.stages.tracking.kalman import centre_form
from streamproc.stages.tracking.parameters import TrackParameters
from streamproc.stages.tracking.state import TrackerState, TrackTable
from streamproc.stages.tracking.tracker import Tracker


@dataclass(frozen=True, slots=True)
class LoggedFrame:
    """One frame of a log and its n targets.

    `ids`, `class_ids` (n,) int32; `boxes_px` (n, 4) ltrb; `scores` (n,). `image_size` is (width,
    height) of the frame, px.
    """

    frame_index: int
    time_s: float
    ids: npt.NDArray[np.int32]
    class_ids: npt.NDArray[np.int32]
    boxes_px: npt.NDArray[np.float32]
    scores: npt.NDArray[np.float32]
    image_size: tuple[int, int]


def replayed(
    parameters: TrackParameters,
    state: TrackerState | None,
    frames: Iterable[LoggedFrame],
    image_size: tuple[int, int] | None = None,
) -> TrackerState:
    """Return the state after `frames`; those that `state` already contains change nothing.

    `image_size`: of the frame before them, None if there was none.

    The result is the state that wrote the log, but for what a log does not tell: tentative tracks,
    features, and the fractions of a pixel.
    """
    following = _Follower(parameters, state)
    for frame in frames:
        if image_size is not None and frame.image_size != image_size:
            following.resize(image_size, frame.image_size)
        image_size = frame.image_size
        following.follow(frame)
    return following.state()


class _Follower(Tracker):
    """A tracker whose targets are known."""

    def follow(self, frame: LoggedFrame) -> None:
        last = self._last_frame_index
        if last is not None and frame.frame_index <= last:
            return
        self._n_frames += 1
        last_time_s = frame.time_s if self._last_time_s is None else self._last_time_s
        time_s = max(frame.time_s, last_time_s)
        self._last_time_s, self._last_frame_index = time_s, frame.frame_index
        self._forget(time_s - self._table.last_seen_s > self._parameters.max_gap_s)
        self._forget(self._table.ids == 0)
        self._table.kinematics = self._motion.predicted(
            self._table.kinematics, time_s - last_time_s
        )
        self._table.missed += 1
        rows = {int(one): row for row, one in enumerate(self._table.ids)}
        known = np.array([int(one) in rows for one in frame.ids], np.bool_)
        self._go_on([rows[int(one)] for one in frame.ids[known]], frame, known, time_s)
        self._begin(frame, ~known, time_s)
        self._next_id = max([self._next_id, *(int(one) + 1 for one in frame.ids)])
        self._expire(time_s, frame.image_size)

    def _go_on(
        self, rows: list[int], frame: LoggedFrame, chosen: npt.NDArray[np.bool_], time_s: float
    ) -> None:
        if not rows:
            return
        table, classes = self._table, frame.class_ids[chosen]
        boxes = centre_form(frame.boxes_px[chosen])
        table.kinematics[rows] = self._motion.corrected(table.kinematics[rows], boxes)
        table.missed[rows] = 0
        table.hits[rows] += 1
        table.last_seen_s[rows] = time_s
        votes = table.votes[rows] * self._parameters.class_vote_decay
        votes[np.arange(len(rows)), self._groups.places(classes)] += frame.scores[chosen]
        table.votes[rows] = votes
        table.classes[rows] = classes
        table.groups[rows] = self._groups.names(classes)

    def _begin(self, frame: LoggedFrame, chosen: npt.NDArray[np.bool_], time_s: float) -> None:
        n = int(chosen.sum())
        if n == 0:
            return
        classes = frame.class_ids[chosen]
        votes = np.zeros((n, self._groups.largest))
        votes[np.arange(n), self._groups.places(classes)] = frame.scores[chosen]
        self._table = self._table.followed_by(
            TrackTable(
                ids=frame.ids[chosen],
                groups=self._groups.names(classes),
                classes=classes,
                votes=votes,
                kinematics=self._motion.born(centre_form(frame.boxes_px[chosen])),
                first_seen_s=np.full(n, time_s),
                last_seen_s=np.full(n, time_s),
                missed=np.zeros(n, np.int32),
                hits=np.full(n, self._parameters.confirm_hits, np.int32),
                features=np.zeros((n, self._table.features.shape[1]), np.float32),
            )
        )
