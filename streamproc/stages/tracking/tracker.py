"""Online multi-object tracker: one id per object over the frames of a task.

It is a variant of ByteTrack (Zhang et al., ECCV 2022): confirmed tracks are matched with high-score
detections first, then with low-score ones. Tentative tracks are matched with the remaining
high-score detections, and unmatched ones start tracks. It differs from ByteTrack in four points:
time is media time (frames may be 33 ms or 1 s apart); boxes are widened by the uncertainty of the
prediction before they are compared; the cost includes appearance if there are features; the state
is one plain value.

A tracker is a deterministic fold: the same frames give the same ids, bit for bit. They depend
neither on the order of detections within a frame nor on where a state was saved and restored.
"""

import math

import numpy as np
import numpy.typing as npt

from streamproc.stages.tracking.association import Indices, overlaps
from streamproc.stages.tracking.class_voting import ClassGroups
from streamproc.stages.tracking.detections import Detections, unit
from streamproc.stages.tracking.kalman import POSITION, VELOCITY, Motion, centre_form
from streamproc.stages.tracking.matching import matched
from streamproc.stages.tracking.parameters import TrackParameters
from streamproc.stages.tracking.state import STATE_VERSION, TrackerState, TrackTable


class Tracker:
    """The tracker of one task. Not thread-safe."""

    def __init__(self, parameters: TrackParameters, state: TrackerState | None = None) -> None:
        """Create a new tracker, or restore the one that returned `state`.

        Raises ValueError for a state of another version or with broken columns.
        """
        self._parameters = parameters
        self._motion = Motion(parameters)
        self._groups = ClassGroups(parameters.class_groups)
        state = state or TrackerState()
        if state.version != STATE_VERSION:
            raise ValueError(f"tracker state has version {state.version}, not {STATE_VERSION}")
        self._next_id = state.next_id
        self._n_frames = state.n_frames
        self._last_time_s = state.last_time_s
        self._last_frame_index = state.last_frame_index
        self._table = (
            TrackTable.unpacked(state.columns, self._groups.largest)
            if state.columns
            else TrackTable.empty(self._groups.largest)
        )

    def state(self) -> TrackerState:
        """Return a snapshot of the tracker; it shares no memory with the tracker."""
        return TrackerState(
            next_id=self._next_id,
            n_frames=self._n_frames,
            last_time_s=self._last_time_s,
            last_frame_index=self._last_frame_index,
            columns=self._table.packed(),
        )

    def track_class(self, track_id: int) -> int:
        """Return the class id that a live track reports.

        Raises KeyError when no live track has the id.
        """
        rows = np.flatnonzero(self._table.ids == track_id)
        if track_id < 1 or not len(rows):
            raise KeyError(track_id)
        return int(self._table.classes[rows[0]])

    def track_classes(self) -> dict[int, int]:
        """Return the class id that each confirmed live track reports, by track id."""
        named = self._table.ids > 0
        ids, classes = self._table.ids[named].tolist(), self._table.classes[named].tolist()
        return dict(zip(ids, classes, strict=True))

    def resize(self, old: tuple[int, int], new: tuple[int, int]) -> None:
        """Adopt another size (width, height) of the frames.

        Tracks keep their place in the picture. If its shape is another one, their place is unknown:
        they are dropped.
        """
        if old[0] * new[1] != old[1] * new[0]:
            self._forget(np.ones(len(self._table), np.bool_))
            return
        factor = new[0] / old[0]
        self._table.kinematics[:, : VELOCITY + 1] *= factor
        self._table.kinematics[:, VELOCITY + 1 :] *= factor * factor

    def update(
        self,
        boxes_px: npt.NDArray[np.float32],
        scores: npt.NDArray[np.float32],
        class_ids: npt.NDArray[np.int32],
        features: npt.NDArray[np.float32] | None,
        time_s: float,
        frame_index: int,
        image_size: tuple[int, int],
    ) -> npt.NDArray[np.int32]:
        """Process one frame and return the track id of each detection `(n,) int32`.

        Args:
            boxes_px: `(n, 4)` left, top, right, bottom in source pixels.
            scores: `(n,)` in 0..1; includes detections down to `low_threshold`.
            class_ids: `(n,)` classes of the detector.
            features: `(n, d)` of any length, a row of NaN for none; None without a feature step.
            time_s: media time; a time before the last one is replaced by the last one.
            frame_index: index in the source, not less than the last one.
            image_size: width and height of the frame, px.

        An id of 0 means that the detection has no confirmed track (yet), or is not a valid box.
        Raises ValueError when shapes disagree, the time is not finite or the index decreases.
        """
        if not math.isfinite(time_s):
            raise ValueError(f"time_s is {time_s}")
        if self._last_frame_index is not None and frame_index < self._last_frame_index:
            raise ValueError(f"frame {frame_index} after frame {self._last_frame_index}")
        n_features = self._table.features.shape[1]
        found = Detections.checked(
            boxes_px,
            scores,
            class_ids,
            features,
            class_groups=self._groups,
            least_score=self._parameters.low_threshold,
            n_features=n_features,
        )
        if found.features.shape[1] != n_features:
            self._table.features = np.zeros((len(self._table), found.features.shape[1]), np.float32)
        self._n_frames += 1
        last_time_s = time_s if self._last_time_s is None else self._last_time_s
        time_s = max(time_s, last_time_s)
        self._last_time_s, self._last_frame_index = time_s, frame_index

        self._forget(time_s - self._table.last_seen_s > self._parameters.max_gap_s)
        self._table.kinematics = self._motion.predicted(
            self._table.kinematics, time_s - last_time_s
        )
        rows, columns = matched(self._parameters, self._table, found)
        self._correct(rows, columns, found, time_s)
        born = self._born(columns, found, time_s)
        row_of = np.full(len(found), -1, dtype=np.intp)
        row_of[columns] = rows
        row_of[born] = len(self._table) - len(born) + np.arange(len(born))
        self._confirm(row_of, found)
        ids = np.zeros(len(scores), dtype=np.int32)
        claimed = row_of >= 0
        ids[found.places[claimed]] = self._table.ids[row_of[claimed]]
        self._expire(time_s, image_size)
        return ids

    def _correct(self, rows: Indices, columns: Indices, found: Detections, time_s: float) -> None:
        p, table = self._parameters, self._table
        table.missed += 1
        if not len(rows):
            return
        boxes = centre_form(found.boxes_px[columns])
        table.kinematics[rows] = self._motion.corrected(table.kinematics[rows], boxes)
        table.missed[rows] = 0
        table.hits[rows] += 1
        table.last_seen_s[rows] = time_s
        votes = table.votes[rows] * p.class_vote_decay
        slots = self._groups.places(found.classes[columns])
        votes[np.arange(len(rows)), slots] += found.scores[columns]
        table.votes[rows] = votes
        table.classes[rows] = self._groups.elected(
            table.classes[rows], table.groups[rows], votes, p.class_switch_ratio
        )
        if found.features.shape[1]:
            self._blend(rows, columns, found)

    def _blend(self, rows: Indices, columns: Indices, found: Detections) -> None:
        """Update the moving averages of features with those of high-score detections."""
        p, table = self._parameters, self._table
        new = found.features[columns]
        use = new.any(axis=1) & (found.scores[columns] >= p.high_threshold)
        rows, new = rows[use], new[use].astype(np.float64)
        old = table.features[rows].astype(np.float64)
        memory = np.where(old.any(axis=1), p.appearance_memory, 0.0)[:, None]
        table.features[rows] = unit(memory * old + (1.0 - memory) * new)

    def _born(self, columns: Indices, found: Detections, time_s: float) -> Indices:
        """Append a tentative track for each unmatched, high-score, non-duplicate detection."""
        p = self._parameters
        claimed = np.zeros(len(found), dtype=bool)
        claimed[columns] = True
        fresh = np.flatnonzero(~claimed & (found.scores >= p.birth_threshold))
        if not len(fresh):
            return fresh
        taken = claimed.copy()
        chosen = []
        for place in fresh.tolist():
            rivals = taken & (found.groups == found.groups[place])
            shared = overlaps(found.boxes_px[[place]], found.boxes_px[rivals])
            if shared.size and shared.max() > p.duplicate_iou:
                continue
            chosen.append(place)
            taken[place] = True
        born = np.array(chosen, dtype=np.intp)
        n = len(born)
        classes = found.classes[born]
        votes = np.zeros((n, self._groups.largest))
        votes[np.arange(n), self._groups.places(classes)] = found.scores[born]
        self._table = self._table.followed_by(
            TrackTable(
                ids=np.zeros(n, np.int32),
                groups=found.groups[born],
                classes=classes,
                votes=votes,
                kinematics=self._motion.born(centre_form(found.boxes_px[born])),
                first_seen_s=np.full(n, time_s),
                last_seen_s=np.full(n, time_s),
                missed=np.zeros(n, np.int32),
                hits=np.ones(n, np.int32),
                features=found.features[born],
            )
        )
        return born

    def _confirm(self, row_of: Indices, found: Detections) -> None:
        """Assign the next ids to tentative tracks that are confirmed now, best detection first."""
        p, table = self._parameters, self._table
        instant = 0.0 if self._n_frames == 1 else p.instant_threshold
        lasting = np.greater_equal(table.hits, p.confirm_hits)
        lasting &= table.last_seen_s - table.first_seen_s >= p.confirm_s
        for place in np.flatnonzero(row_of >= 0):
            row = row_of[place]
            if table.ids[row] == 0 and (lasting[row] or found.scores[place] >= instant):
                table.ids[row] = self._next_id
                self._next_id += 1

    def _expire(self, time_s: float, image_size: tuple[int, int]) -> None:
        """Drop tentative tracks at their first miss, confirmed ones by time, frames, position."""
        p, table = self._parameters, self._table
        unseen_s = time_s - table.last_seen_s
        old = (unseen_s > p.max_unseen_s) & (table.missed > p.min_unseen_frames)
        old |= (table.ids == 0) & (table.missed > 0)
        if p.drop_outside:
            centre = table.kinematics[:, POSITION, :2]
            inside = (centre >= 0.0) & (centre <= np.array(image_size, dtype=np.float64))
            old |= ~inside.all(axis=1) & (table.missed > 0)
        self._forget(old)

    def _forget(self, rows: npt.NDArray[np.bool_]) -> None:
        if rows.any():
            self._table = self._table.rows(~rows)
