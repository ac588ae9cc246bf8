"""Tracking of perceived frames: from the perceptions of a task's frames, in order, to its results.

Every engine that computes itself passes its frames through `perceive_and_release`, on any thread,
and then through its `FrameTracker`, one after another.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from streamproc.contract.chunk import Target
from streamproc.contract.records import TrackVector
from streamproc.stages.perception import Perception, Plan, View, perceive
from streamproc.stages.targets import best_vectors, targets
from streamproc.stages.tracking.parameters import TrackParameters
from streamproc.stages.tracking.state import TrackerState
from streamproc.stages.tracking.tracker import Tracker

Size = tuple[int, int]


@dataclass(frozen=True, slots=True)
class TrackedFrame:
    """Results of one frame; `newest_id` is the largest track id in it, 0 without targets."""

    targets: tuple[Target, ...]
    vectors: tuple[TrackVector, ...]
    newest_id: int


class FrameTracker:
    """The tracker of one task, and the confidences with which its vectors were sent."""

    def __init__(
        self,
        plan: Plan,
        parameters: TrackParameters,
        *,
        include_vector: bool,
        state: TrackerState | None = None,
        best: Mapping[int, float] | None = None,
    ) -> None:
        """Create a new one, or go on from the `state` and `best` of a checkpoint."""
        self._plan, self._include_vector = plan, include_vector
        self._tracker = Tracker(parameters, state)
        self._best = dict(best or {})

    def state(self) -> TrackerState:
        return self._tracker.state()

    @property
    def best(self) -> dict[int, float]:
        """Confidence of the last vector by live track."""
        return dict(self._best)

    def resize(self, old: Size, new: Size) -> None:
        """Frames have another size (width, height) from now on, see `Tracker.resize`."""
        self._tracker.resize(old, new)

    def track(self, seen: Perception, time_s: float, frame_index: int, size: Size) -> TrackedFrame:
        """Process the next frame, whose `size` is (width, height), px.

        Raises `ModelError` if the features of targets that were left for later cannot be extracted.
        """
        ids = self._tracker.update(
            seen.boxes_px,
            seen.track_scores,
            seen.class_ids,
            seen.appearances(self._plan.threshold),
            time_s,
            frame_index,
            size,
        )
        seen.extract_late(ids > 0)
        names, classes = self._plan.class_names, self._tracker.track_classes()
        shown = targets(
            seen,
            ids,
            size,
            lambda track_id: names[classes[track_id]],
            include_vector=self._include_vector,
        )
        self._best = {one: best for one, best in self._best.items() if one in classes}
        vectors = best_vectors(seen, ids, self._best)
        return TrackedFrame(shown, tuple(vectors), int(ids.max(initial=0)))


def perceive_and_release(view: View, plan: Plan, release: Callable[[], object]) -> Perception:
    """Perceive one frame, and then give its memory back, whatever happens."""
    try:
        return perceive(view, plan)
    finally:
        release()
